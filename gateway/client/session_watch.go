package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxSessionEvent bounds one line of a session's stream: a state of 10 MiB and its head.
const maxSessionEvent = 11 << 20

// WatchOptions tune a watch.
type WatchOptions struct {
	// After skips what is not newer than this commit; 0 begins with the session as it is.
	After int64
	// Heads leaves out the state.
	Heads bool
}

// Watch yields a session now and after each change. Changes that follow each other quickly may show as one; the last one
// is always seen. It goes on when the session is destroyed, since it may begin again. It connects again when the stream
// breaks, and ends with an error when that fails for RetryFor or when ctx ends. [ErrNotFound] when there is no such
// session.
func (s *Sessions) Watch(ctx context.Context, id string, o WatchOptions) iter.Seq2[SessionEvent, error] {
	return func(yield func(SessionEvent, error) bool) {
		for ctx.Err() == nil {
			again := true
			err := s.stream(ctx, id, o, func(event SessionEvent) bool {
				o.After = event.Commit
				again = yield(event, nil)
				return again
			})
			if !again {
				return
			}
			if err != nil {
				yield(SessionEvent{}, err)
				return
			}
			pause(ctx, 100*time.Millisecond) // the server stops, or something between us cut the stream
		}
		yield(SessionEvent{}, context.Cause(ctx))
	}
}

// stream reads one connection's events. That it breaks is no error.
func (s *Sessions) stream(ctx context.Context, id string, o WatchOptions, each func(SessionEvent) bool) error {
	in := call{method: http.MethodGet, path: s.path(id, "events"), query: url.Values{}}
	if o.Heads {
		in.query.Set("state", "false")
	}
	if o.After > 0 {
		in.header = http.Header{"Last-Event-Id": {strconv.FormatInt(o.After, 10)}}
	}
	resp, err := s.do(ctx, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := readEvents(resp.Body, maxSessionEvent, each); errors.Is(err, errEvent) {
		return fmt.Errorf("%s: %w", s.c.base, err)
	}
	return nil
}
