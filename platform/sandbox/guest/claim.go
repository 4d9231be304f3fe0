//go:build unix

package guest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v4"

	"vibesdk-gcp/internal/filelock"
	"vibesdk-gcp/platform/sandbox"
)

// ErrClaimed is a phase that another process runs, or that has ended, for the same task. Nothing is wrong:
// the work is in hand or done.
var ErrClaimed = errors.New("already claimed")

// ErrDeleted is a phase of a generation that was deleted meanwhile. Nothing is wrong here either.
var ErrDeleted = errors.New("the generation was deleted")

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

// claimStore claims the phase for this process among all that were given the same task, wherever they run, for ever: who dies after
// that leaves a build that is interrupted. The generation's deletion is looked for after the claim: whoever deletes one puts up
// the grave first and looks for claims then, so of the two at least one sees the other.
func claimStore(ctx context.Context, task sandbox.GuestTask) error {
	if task.Store.Claim != "" {
		mine := sandbox.GuestClaim{Owner: task.Owner, Nonce: rand.Text(), At: time.Now().UTC()}
		body, err := json.Marshal(mine)
		if err != nil {
			return err
		}
		if err := retry(ctx, func() error { return claimOnce(ctx, task.Store, mine, body) }); err != nil {
			return err
		}
	}
	return checkGrave(ctx, task)
}

func claimOnce(ctx context.Context, store sandbox.GuestStore, mine sandbox.GuestClaim, body []byte) error {
	created, err := createObject(ctx, store.Claim, body)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	if created {
		return nil
	}
	// An attempt before this one may have had its effect though its answer was lost.
	r, err := openObject(ctx, store.ClaimRead)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	defer r.Close()
	var other sandbox.GuestClaim
	if err := json.NewDecoder(io.LimitReader(r, 64<<10)).Decode(&other); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	if other.Nonce != mine.Nonce {
		return backoff.Permanent(fmt.Errorf("%w by %s", ErrClaimed, other.Owner))
	}
	return nil
}

func checkGrave(ctx context.Context, task sandbox.GuestTask) error {
	if task.Store.Grave == "" {
		return nil
	}
	return retry(ctx, func() error {
		r, err := openObject(ctx, task.Store.Grave)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("grave: %w", err)
		}
		r.Close()
		return backoff.Permanent(ErrDeleted)
	})
}
