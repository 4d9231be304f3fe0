package proctable

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ticks is USER_HZ, in which /proc counts. It is 100 on every Linux that Go runs on.
const ticks = 100

// booted is the instant from which /proc counts. It is read once, so that the start of a process is the same
// whenever it is asked for.
var booted = sync.OnceValues(func() (time.Time, error) {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return time.Time{}, os.NewSyscallError("clock_gettime", err)
	}
	return time.Now().Add(-time.Duration(since.Nano())), nil
})

// List returns the processes that this one can see, zombies included.
func List() ([]Process, error) {
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
	list := make([]Process, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it is gone since
		}
		if p, ok := parseStat(pid, stat, boot); ok {
			list = append(list, p)
		}
	}
	return list, nil
}

// parseStat reads a line of /proc/<pid>/stat. The second field, the program's name, may hold anything, spaces and
// brackets included, so what follows is counted from its last closing bracket.
func parseStat(pid int, stat []byte, boot time.Time) (Process, bool) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return Process{}, false
	}
	parent, err1 := strconv.Atoi(fields[1])
	group, err2 := strconv.Atoi(fields[2])
	start, err3 := strconv.ParseInt(fields[19], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return Process{}, false
	}
	return Process{
		PID: pid, Parent: parent, Group: group, Started: boot.Add(time.Duration(start) * time.Second / ticks),
		Zombie: fields[0] == "Z" || fields[0] == "X",
	}, true
}
