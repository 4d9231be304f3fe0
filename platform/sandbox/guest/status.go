package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// statusFile keeps the guest's status, in memory and in a file that is replaced at each change. It is safe
// for concurrent use.
type statusFile struct {
	path string
	// address is where publish puts it, too; empty is nowhere.
	address string

	mu     sync.Mutex
	status sandbox.GuestStatus
}

func newStatusFile(path string, phase sandbox.Phase) *statusFile {
	return &statusFile{path: path, status: sandbox.GuestStatus{Phase: phase}}
}

// update changes the status. A reader of the file sees the one before or the one after, never a part.
func (s *statusFile) update(change func(*sandbox.GuestStatus)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
	s.status.UpdatedAt = time.Now().UTC()
	if s.path == "" {
		return nil
	}
	body, err := json.Marshal(s.status)
	if err != nil {
		return err
	}
	return replaceFile(s.path, body)
}

// publish changes the status and puts it into the store, without the process groups, which mean nothing elsewhere.
func (s *statusFile) publish(ctx context.Context, change func(*sandbox.GuestStatus)) error {
	if err := s.update(change); err != nil || s.address == "" {
		return err
	}
	status := s.get()
	status.Groups = nil
	body, err := json.Marshal(status)
	if err != nil {
		return err
	}
	err = writeObject(ctx, s.address, func(w io.Writer) error { _, err := w.Write(body); return err })
	if err != nil {
		return fmt.Errorf("publish status: %w", err)
	}
	return nil
}

func (s *statusFile) get() sandbox.GuestStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Groups = slices.Clone(status.Groups)
	return status
}

// readStatus returns the status that an earlier run left, or the zero one.
func readStatus(path string) sandbox.GuestStatus {
	var s sandbox.GuestStatus
	if body, err := os.ReadFile(path); err == nil {
		if json.Unmarshal(body, &s) != nil {
			return sandbox.GuestStatus{}
		}
	}
	return s
}

func replaceFile(path string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	_, err = f.Write(body)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) //nolint:errcheck // the error that matters is the one returned
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}
