//go:build unix

package guest

import (
	"fmt"
	"syscall"
)

const (
	openFiles = 65_536
	fileSize  = 4 << 30
)

// setLimits bounds core dumps, open files and the size of a file for this process and its children. A limit
// is only ever lowered.
func setLimits() error {
	for _, l := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"core", syscall.RLIMIT_CORE, 0},
		{"nofile", syscall.RLIMIT_NOFILE, openFiles},
		{"fsize", syscall.RLIMIT_FSIZE, fileSize},
	} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.resource, &now); err != nil {
			return fmt.Errorf("read limit %s: %w", l.name, err)
		}
		now.Max = min(now.Max, l.value)
		now.Cur = now.Max
		if err := syscall.Setrlimit(l.resource, &now); err != nil {
			return fmt.Errorf("set limit %s: %w", l.name, err)
		}
	}
	return nil
}
