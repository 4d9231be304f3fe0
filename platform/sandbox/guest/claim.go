//go:build unix

package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vibesdk-gcp/internal/filelock"
	"vibesdk-gcp/platform/sandbox"
)

// ErrClaimed is a phase that another process runs, or that has ended, for the same task. Nothing is wrong:
// the work is in hand or done.
var ErrClaimed = errors.New("already claimed")

// claim takes the lock of a phase in the task's folder. The lock belongs to the open file, which no child
// inherits: it ends with this process, however that ends.
func claim(dir string, phase sandbox.Phase) (*filelock.Lock, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	lock, err := filelock.Try(filepath.Join(dir, string(phase)+".lock"))
	if errors.Is(err, filelock.ErrHeld) {
		return nil, fmt.Errorf("%w by another process", ErrClaimed)
	}
	return lock, err
}
