package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"vibesdk-gcp/platform/session"
)

// watchSession sends the session now and after each change, as server-sent events named `state` whose id is the
// commit. A caller that comes back with Last-Event-ID gets what is newer. Changes that follow each other quickly
// may show as one, the last one always does. It goes on when the session is destroyed, for it may begin again.
func (g *Gateway) watchSession(w http.ResponseWriter, r *http.Request) error {
	record, after, err := g.resume(r)
	if err != nil {
		return err
	}
	states := true
	if value := r.URL.Query().Get("state"); value != "" {
		if states, err = strconv.ParseBool(value); err != nil {
			return invalid("state", "must be true or false")
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := eventStream{w: w, control: http.NewResponseController(w), timeout: g.WriteTimeout, states: states}
	if record.Commit != after {
		err = out.send(record)
	} else {
		err = out.alive() // the caller sees that the stream is open
	}
	if err != nil {
		return nil // the caller is gone or too slow
	}
	ctx, cancel := context.WithCancel(r.Context())
	latest, ended := g.follow(ctx, record.ID, record.Commit)
	defer func() {
		cancel()
		for range ended { // until the watch has ended
		}
	}()
	beat := time.NewTicker(keepAlive)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.draining:
			return nil
		case err := <-ended:
			if ctx.Err() != nil {
				return nil
			}
			g.log.WarnContext(ctx, "event stream broke", "session_id", record.ID, "error", err)
			panic(http.ErrAbortHandler) // the status is sent: cutting the connection is the way left to say so
		case record = <-latest:
			err = out.send(record)
		case <-beat.C:
			err = out.alive()
		}
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				g.log.InfoContext(ctx, "reader of events was too slow and is dropped", "session_id", record.ID, "timeout", g.WriteTimeout)
			}
			return nil // as above
		}
	}
}

// resume reads where a stream begins: the record as it is, and the commit that the caller has seen.
func (g *Gateway) resume(r *http.Request) (*session.Record, int64, error) {
	id, err := sessionID(r)
	if err != nil {
		return nil, 0, err
	}
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		record, err := g.Sessions.Get(r.Context(), id)
		return record, 0, err
	}
	after, err := strconv.ParseInt(last, 10, 64)
	if err != nil || after < 0 {
		return nil, 0, invalid("Last-Event-ID", "must be the id of an event of this stream")
	}
	// Whoever saw the session may see its end.
	record, err := g.Sessions.Load(r.Context(), id)
	return record, after, err
}

// follow watches a session beside the stream: latest has the newest record that was not taken yet, so that a slow
// reader skips records instead of holding them. ended gets the error of a watch that broke, and is closed at its end.
func (g *Gateway) follow(ctx context.Context, id string, after int64) (latest <-chan *session.Record, ended <-chan error) {
	records, failed := make(chan *session.Record, 1), make(chan error, 1)
	go func() {
		defer close(failed)
		for record, err := range g.Sessions.Watch(ctx, id, after) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case <-records:
			default:
			}
			records <- record
		}
	}()
	return records, failed
}

// eventStream writes the events of one answer. A reader that does not take one within the timeout is dropped.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	states  bool
}

func (s *eventStream) send(r *session.Record) error {
	event := SessionEvent{Version: r.Version, Commit: r.Commit, Present: r.Present, UpdatedAt: r.UpdatedAt}
	if state, ok := r.State(); ok && s.states {
		event.State = state
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "event: state\nid: %d\ndata: ", r.Commit)
	// The encoder takes out the spaces between tokens, line ends among them, which would end the data.
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(event); err != nil {
		return err
	}
	out.WriteByte('\n')
	return s.write(out.Bytes())
}

func (s *eventStream) alive() error { return s.write([]byte(": still here\n\n")) }

func (s *eventStream) write(data []byte) error {
	// A writer without deadlines is a test's.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.timeout))
	if _, err := s.w.Write(data); err != nil {
		return err
	}
	return s.control.Flush()
}
