package guest

import (
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// adopter says that this process inherits orphans. It is a fact about the process, so it is global.
var adopter atomic.Bool

// Adopt makes this process inherit descendants whose parents end, so that none escapes by leaving its
// process group, and bounds what it and they may use. Call it once, first thing in main.
func Adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	adopter.Store(true)
	return setLimits()
}

// reapOrphans waits for inherited children as they end, so that they do not stay as zombies.
func (p *processes) reapOrphans() (stop func()) {
	if !p.adopted {
		return func() {}
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-ended:
				p.reap()
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(ended); close(done) }
}

// reap waits for inherited children that have ended. Those that we started are waited for elsewhere.
func (p *processes) reap() {
	if !p.adopted {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	self := os.Getpid()
	for _, proc := range listProcesses() {
		if proc.parent != self || !proc.zombie || p.groups[proc.pid] != nil {
			continue
		}
		_, _ = unix.Wait4(proc.pid, nil, unix.WNOHANG, nil) // another thread of ours may have done it
	}
}

// process is a line of /proc/<pid>/stat.
type process struct {
	pid, parent int
	zombie      bool
}

// listProcesses returns all processes that this one can see.
func listProcesses() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	list := make([]process, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if proc, ok := readProcess(pid); ok {
			list = append(list, proc)
		}
	}
	return list
}

// descendants returns the living processes below pid, nearest first.
func descendants(pid int) []int {
	all := listProcesses()
	found := []int{pid}
	for i := 0; i < len(found); i++ {
		for _, proc := range all {
			if proc.parent == found[i] && !proc.zombie && !slices.Contains(found, proc.pid) {
				found = append(found, proc.pid)
			}
		}
	}
	return found[1:]
}
