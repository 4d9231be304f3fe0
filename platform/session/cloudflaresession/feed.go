package cloudflaresession

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/platform/session"
)

// feeds are the sessions that are watched.
type feeds struct {
	mu   sync.Mutex
	byID map[string]*feed
}

// feed keeps the newest record of one session while anybody watches it.
type feed struct {
	d       *Driver
	id      string
	watches int // guarded by feeds
	stop    context.CancelFunc
	ended   sync.WaitGroup
	// wanted has a word when a round is to be made.
	wanted chan struct{}

	mu      sync.Mutex
	started int64 // rounds that were begun
	now     view
}

// view is what a feed knows. Rounds load one after the other, so that a higher one is never of an older record.
type view struct {
	round   int64
	record  *session.Record // nil when nothing is stored
	err     error           // why the feed ended
	changed chan struct{}   // closed when there is another view
}

// notice is what the bridge tells a feed: what is stored now. Commit "0" is nothing.
type notice struct {
	Commit string `json:"commit"`
	Tag    string `json:"tag"`
}

// join returns the feed of a session and the first round that begins after the call. What earlier ones loaded may be
// older than what the caller knows.
func (fs *feeds) join(d *Driver, id string) (f *feed, from int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f, ok := fs.byID[id]
	if !ok {
		ctx, stop := context.WithCancel(context.Background())
		f = &feed{d: d, id: id, stop: stop, wanted: make(chan struct{}, 1), now: view{changed: make(chan struct{})}}
		if fs.byID == nil {
			fs.byID = map[string]*feed{}
		}
		fs.byID[id] = f
		f.ended.Go(func() { f.load(ctx) })
		f.ended.Go(func() { f.listen(ctx) })
	}
	f.watches++
	f.mu.Lock()
	defer f.mu.Unlock()
	f.want()
	return f, f.started + 1
}

// leave ends the feed with its last watch.
func (fs *feeds) leave(f *feed) {
	fs.mu.Lock()
	f.watches--
	last := f.watches == 0
	if last {
		delete(fs.byID, f.id)
	}
	fs.mu.Unlock()
	if last {
		f.stop()
		f.ended.Wait()
	}
}

func (f *feed) look() view {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *feed) want() {
	select {
	case f.wanted <- struct{}{}:
	default: // a round that has not begun will do
	}
}

// show replaces the view.
func (f *feed) show(next view) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now.err != nil {
		return
	}
	close(f.now.changed)
	next.changed = make(chan struct{})
	f.now = next
}

// load makes a round whenever one is wanted.
func (f *feed) load(ctx context.Context) {
	var record *session.Record
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wanted:
		}
		f.mu.Lock()
		f.started++
		round := f.started
		f.mu.Unlock()
		var err error
		record, err = f.loadOnce(ctx, record)
		if ctx.Err() != nil {
			return
		}
		f.show(view{round: round, record: record, err: err})
		if err != nil {
			return
		}
	}
}

// loadOnce returns the record, nil for none, however often it takes.
func (f *feed) loadOnce(ctx context.Context, known *session.Record) (*session.Record, error) {
	for pause := newPause(); ; {
		r, err := f.d.Load(ctx, f.id, known)
		switch {
		case errors.Is(err, session.ErrNotFound):
			return nil, nil //nolint:nilnil // nothing is stored, which is an answer
		case err == nil || final(err):
			return r, err
		}
		if sleep(ctx, pause.NextBackOff()) != nil {
			return nil, ctx.Err()
		}
	}
}

// listen keeps a socket open. Each new one begins with what is stored then, so that nothing is missed.
func (f *feed) listen(ctx context.Context) {
	for pause := newPause(); ; {
		err := f.d.client.Listen(ctx, pathWatch, url.Values{"id": {f.id}}, func(text []byte) error {
			var n notice
			if err := json.Unmarshal(text, &n); err != nil {
				return fmt.Errorf("a notice: %w", err)
			}
			pause.Reset()
			f.hear(n)
			return nil
		})
		if final(err) {
			f.show(view{err: wrap("watch", f.id, err)})
			return
		}
		if sleep(ctx, pause.NextBackOff()) != nil {
			return
		}
	}
}

// hear wants a round for a notice that is not of what was loaded last.
func (f *feed) hear(n notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now.record == nil || f.now.record.Tag != n.Tag {
		f.want()
	}
}

// final reports whether an error will be the same the next time.
func final(err error) bool {
	var refusal *cfclient.Error
	return errors.Is(err, errDamaged) ||
		errors.As(err, &refusal) && refusal.Status < http.StatusInternalServerError && refusal.Status != http.StatusTooManyRequests
}

func newPause() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(20*time.Millisecond), backoff.WithRandomizationFactor(1),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
