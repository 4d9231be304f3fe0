package processsandbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ticks is USER_HZ, in which /proc counts. It is 100 on every Linux that Go runs on.
const ticks = 100

// process is one living entry of the process table. Zombies are not: they hold nothing and end with their parent.
type process struct {
	pid, parent, group int
	started            time.Time
}

// booted is the instant from which /proc counts. It is read once, so that the start of a process is the same
// whenever it is asked for.
var booted = sync.OnceValues(func() (time.Time, error) {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return time.Time{}, os.NewSyscallError("clock_gettime", err)
	}
	return time.Now().Add(-time.Duration(since.Nano())), nil
})

// processes returns the living processes that this one can see.
func processes() ([]process, error) {
	boot, err := booted()
	if err != nil {
		return nil, err
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	list := make([]process, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended since
		}
		if p, alive := parseStat(pid, stat, boot); alive {
			list = append(list, p)
		}
	}
	return list, nil
}

// parseStat reads a line of /proc/<pid>/stat. The second field, the program's name, may hold anything, spaces and
// brackets included, so what follows is counted from its last closing bracket.
func parseStat(pid int, stat []byte, boot time.Time) (process, bool) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return process{}, false
	}
	parent, err1 := strconv.Atoi(fields[1])
	group, err2 := strconv.Atoi(fields[2])
	start, err3 := strconv.ParseInt(fields[19], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return process{}, false
	}
	return process{pid: pid, parent: parent, group: group, started: boot.Add(time.Duration(start) * time.Second / ticks)}, true
}

// ownerOf returns the folder that a process was started with as its mark; empty if it has none or is not ours to see.
func ownerOf(pid int) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(ownerMark+"=")); ok {
			return string(value)
		}
	}
	return ""
}
