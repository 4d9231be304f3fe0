package processsandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vibesdk-gcp/internal/filelock"
)

// ownWithin is how long an owner that is just ending is waited for.
const ownWithin = 5 * time.Second

// own takes the folder's lock, which ends with this process at the latest, and returns how to give it up.
func own(ctx context.Context, dir string) (release func() error, err error) {
	path := filepath.Join(dir, ".owner")
	ctx, cancel := context.WithTimeout(ctx, ownWithin)
	defer cancel()
	lock, err := filelock.Wait(ctx, path)
	switch {
	case errors.Is(err, filelock.ErrHeld):
		holder, _ := os.ReadFile(path) // for the message only
		return nil, fmt.Errorf("sandbox folder %s is in use by process %s", dir, strings.TrimSpace(string(holder)))
	case err != nil:
		return nil, fmt.Errorf("sandbox folder: %w", err)
	}
	if err := os.WriteFile(path, []byte(fmt.Sprintln(os.Getpid())), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("lock sandbox folder %s: %w", dir, err), lock.Release())
	}
	return lock.Release, nil
}
