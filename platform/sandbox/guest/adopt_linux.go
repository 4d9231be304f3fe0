package guest

import (
	"os"
	"os/signal"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"vibesdk-gcp/internal/proctable"
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
	all, _ := proctable.List() // what cannot be seen now is waited for the next time
	for _, proc := range all {
		if proc.Parent != self || !proc.Zombie || p.groups[proc.PID] != nil {
			continue
		}
		_, _ = unix.Wait4(proc.PID, nil, unix.WNOHANG, nil) // another thread of ours may have done it
	}
}

// descendants returns the living processes below pid, nearest first.
func descendants(pid int) []int {
	all, _ := proctable.List() // without a table none is known
	found := []int{pid}
	for i := 0; i < len(found); i++ {
		for _, proc := range all {
			if proc.Parent == found[i] && !proc.Zombie && !slices.Contains(found, proc.PID) {
				found = append(found, proc.PID)
			}
		}
	}
	return found[1:]
}
