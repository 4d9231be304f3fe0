//go:build unix

package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vibesdk-gcp/platform/sandbox"
)

// ErrClaimed is a phase that another process runs, or that has ended, for the same task. Nothing is wrong:
// the work is in hand or done.
var ErrClaimed = errors.New("already claimed")

// claim takes the lock of a phase in the task's folder. The lock belongs to the open file, which no child
// inherits: it ends with this process, however that ends.
func claim(dir string, phase sandbox.Phase) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, string(phase)+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w by another process", ErrClaimed)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
