package cloudflaresession

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/platform/session"
)

// notice is what the bridge tells a watcher: what is stored now. Commit "0" is nothing.
type notice struct {
	Commit string `json:"commit"`
	Tag    string `json:"tag"`
}

// Watch implements [session.Driver].
func (d *Driver) Watch(ctx context.Context, id string, known *session.Record, fn func(*session.Record) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	news := make(mailbox, 1)
	var listening sync.WaitGroup
	listening.Go(func() { cancel(d.listen(inner, id, news)) })
	defer listening.Wait()
	defer cancel(nil)

	seen := newSight(known)
	for {
		select {
		case <-inner.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return wrap("watch", id, context.Cause(inner))
		case n := <-news:
			if !seen.news(n) {
				continue
			}
			r, err := d.Load(ctx, id, seen.last)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, session.ErrNotFound):
				seen = sight{} // removed since; if it is begun again, a notice tells
			case err != nil:
				return err
			case seen.record(r):
				if err := fn(r); err != nil {
					return err
				}
			}
		}
	}
}

// listen keeps a socket open until ctx ends or the bridge refuses for good. Each new socket begins with what is stored then, so nothing
// is missed.
func (d *Driver) listen(ctx context.Context, id string, news mailbox) error {
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(20*time.Millisecond), backoff.WithRandomizationFactor(1),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		err := d.client.Listen(ctx, pathWatch, url.Values{"id": {id}}, func(text []byte) error {
			var n notice
			if err := json.Unmarshal(text, &n); err != nil {
				return fmt.Errorf("a notice: %w", err)
			}
			pause.Reset()
			news.put(n)
			return nil
		})
		var refusal *cfclient.Error
		if errors.As(err, &refusal) && refusal.Status < 500 && refusal.Status != 429 {
			return err
		}
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// sight is what a watch has seen last.
type sight struct {
	last   *session.Record
	tag    string
	commit int64 // while the tag is unknown
}

func newSight(known *session.Record) sight {
	switch {
	case known == nil:
		return sight{}
	case known.Tag != "":
		return sight{last: known, tag: known.Tag}
	default:
		return sight{commit: known.Commit}
	}
}

// news reports whether a notice is of something else than what was seen.
func (s *sight) news(n notice) bool {
	switch {
	case n.Commit == "0":
		*s = sight{}
		return false
	case s.commit > 0 && n.Commit == strconv.FormatInt(s.commit, 10):
		*s = sight{tag: n.Tag}
		return false
	default:
		return n.Tag != s.tag
	}
}

// record notes a record, and reports whether it is another one than the last.
func (s *sight) record(r *session.Record) bool {
	if r.Tag == s.tag {
		return false
	}
	*s = sight{last: r, tag: r.Tag}
	return true
}

// mailbox holds the newest notice of a socket. It has one writer; the reader may be slow, and gets no other.
type mailbox chan notice

func (m mailbox) put(n notice) {
	select {
	case <-m:
	default:
	}
	m <- n
}
