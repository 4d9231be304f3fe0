package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// maxEvent bounds one line of an event stream; a record with its log tail is far smaller.
const maxEvent = 1 << 20

var errEvent = errors.New("the event stream is not understood")

// Watch yields a sandbox now and after each change, until it has ended. It connects again when the stream
// breaks, and ends with an error when that fails for RetryFor or when ctx ends. A sandbox whose request was
// published but not yet taken is [ErrNotFound].
func (s *Sandboxes) Watch(ctx context.Context, id string) iter.Seq2[Sandbox, error] {
	return func(yield func(Sandbox, error) bool) {
		var seen int64
		for ctx.Err() == nil {
			resp, err := s.c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "sandboxes", id, "events"}})
			if err != nil {
				yield(Sandbox{}, err)
				return
			}
			again := true
			err = readEvents(resp.Body, maxEvent, func(now Sandbox) bool {
				if now.Version <= seen {
					return true
				}
				seen = now.Version
				again = yield(now, nil) && !now.State.Ended()
				return again
			})
			resp.Body.Close()
			if !again {
				return
			}
			if errors.Is(err, errEvent) {
				yield(Sandbox{}, fmt.Errorf("%s: %w", s.c.base, err))
				return
			}
			pause(ctx, 100*time.Millisecond) // the server stops, or something between us cut the stream
		}
		yield(Sandbox{}, context.Cause(ctx))
	}
}

// readEvents calls each with the data of each event, of at most limit bytes, until it returns false or the stream ends.
func readEvents[T any](stream io.Reader, limit int, each func(T) bool) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, limit)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event T
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return fmt.Errorf("%w: %w", errEvent, err)
		}
		if !each(event) {
			return nil
		}
	}
	return lines.Err()
}

// await is Watch that first waits for the record: a request that was published may wait for its turn.
func (s *Sandboxes) await(ctx context.Context, id string) (Sandbox, error) {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(10*time.Millisecond), backoff.WithMaxInterval(500*time.Millisecond), backoff.WithMaxElapsedTime(0))
	return backoff.RetryWithData(func() (Sandbox, error) {
		now, err := s.Get(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			err = backoff.Permanent(err)
		}
		return now, err
	}, backoff.WithContext(wait, ctx))
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
