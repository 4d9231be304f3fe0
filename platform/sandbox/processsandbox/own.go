package processsandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ownWithin is how long an owner that is just ending is waited for.
const ownWithin = 5 * time.Second

// own takes the folder's lock, which ends with this process at the latest, and returns how to give it up.
func own(ctx context.Context, dir string) (release func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".owner"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sandbox folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, ownWithin)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock sandbox folder %s: %w", dir, err), f.Close())
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			holder, _ := os.ReadFile(f.Name()) // for the message only
			return nil, errors.Join(fmt.Errorf("sandbox folder %s is in use by process %s", dir, strings.TrimSpace(string(holder))), f.Close())
		}
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("lock sandbox folder %s: %w", dir, err), f.Close())
	}
	return f.Close, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}
