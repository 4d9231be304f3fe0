package sqlsession

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

const (
	// compareEvery is how often the tags of all watched sessions are compared with those seen before.
	compareEvery = 2 * time.Second
	// compareAtOnce is how many sessions one query compares.
	compareAtOnce = 1000
	// compareTimeout bounds that query.
	compareTimeout = 10 * time.Second
)

// watchers are the watched sessions of this process. Its goroutine runs while there are any.
type watchers struct {
	d *Driver
	// every is compareEvery, but in tests.
	every     time.Duration
	subscribe sync.Once
	// changed holds a token when anything may have changed, or the last watcher left.
	changed chan struct{}

	mu      sync.Mutex
	byID    map[string]*watched
	running bool
}

// watched is a session with its watchers.
type watched struct {
	id string
	// wakes counts what may have changed the record: watchers that joined are among it, because they want it as it is now.
	wakes atomic.Uint64

	// loading guards the fields below it: the record of the last load, and the wakes when that began.
	loading chan struct{}
	loaded  uint64
	latest  *session.Record
	missing error

	// tokens, seen, the tag of the last comparison, and handed are guarded by watchers.mu. handed is what was committed here and not
	// told yet.
	tokens map[chan struct{}]struct{}
	seen   int64
	handed *session.Record
}

func (ws *watchers) join(id string) (*watched, chan struct{}) {
	ws.subscribe.Do(func() {
		ws.changed = make(chan struct{}, 1)
		ws.d.db.SubscribeKeys(channel, ws.hear) // until the database is closed
	})
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.byID == nil {
		ws.byID = map[string]*watched{}
	}
	w := ws.byID[id]
	if w == nil {
		w = &watched{id: id, loading: make(chan struct{}, 1), tokens: map[chan struct{}]struct{}{}}
		ws.byID[id] = w
	}
	wake := make(chan struct{}, 1)
	w.tokens[wake] = struct{}{}
	w.wakes.Add(1)
	if !ws.running {
		ws.running = true
		go ws.run()
	}
	return w, wake
}

func (ws *watchers) leave(w *watched, wake chan struct{}) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(w.tokens, wake)
	if len(w.tokens) == 0 {
		delete(ws.byID, w.id)
	}
	if len(ws.byID) == 0 {
		token(ws.changed)
	}
}

// hand keeps what was committed here for the notification that follows, so that watchers need not read it again.
func (ws *watchers) hand(r *session.Record) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w := ws.byID[r.ID]; w != nil {
		w.handed = r
	}
}

// hear takes the keys of a notification.
func (ws *watchers) hear(ids []string) {
	if ids == nil {
		token(ws.changed)
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, id := range ids {
		if w := ws.byID[id]; w != nil {
			w.follow()
			w.wake()
		}
	}
}

// follow takes what was handed for the record that wake is about to announce, if it is certain that it is the next one: nothing else may
// have happened, that would be overlooked. watchers.mu is held.
func (w *watched) follow() {
	r := w.handed
	w.handed = nil
	if r == nil {
		return
	}
	select {
	case w.loading <- struct{}{}:
	default:
		return // who loads now may see more
	}
	defer func() { <-w.loading }()
	if w.latest != nil && w.loaded == w.wakes.Load() && w.latest.Commit < r.Commit {
		w.loaded, w.latest = w.loaded+1, r
	}
}

// wake makes all watchers look. watchers.mu is held.
func (w *watched) wake() {
	w.wakes.Add(1)
	for c := range w.tokens {
		token(c)
	}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run compares until nobody watches.
func (ws *watchers) run() {
	ticker := time.NewTicker(ws.every)
	defer ticker.Stop()
	for {
		ids := ws.ids()
		if len(ids) == 0 {
			return
		}
		for some := range slices.Chunk(ids, compareAtOnce) {
			if ws.compare(some) != nil {
				break // the next round finds it
			}
		}
		select {
		case <-ws.changed:
		case <-ticker.C:
		}
	}
}

// ids lists what is watched, or ends the goroutine when nothing is.
func (ws *watchers) ids() []string {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ids := make([]string, 0, len(ws.byID))
	for id := range ws.byID {
		ids = append(ids, id)
	}
	ws.running = len(ids) > 0
	return ids
}

// compare wakes the watchers of those sessions that have another tag than the last time.
func (ws *watchers) compare(ids []string) error {
	db := ws.d.db
	arg, err := sqldb.Values(db.Dialect, ids)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), compareTimeout)
	defer cancel()
	rows, err := db.R.QueryContext(ctx, ws.d.q.tags, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	tags := make(map[string]int64, len(ids))
	for rows.Next() {
		var id string
		var tag int64
		if err := rows.Scan(&id, &tag); err != nil {
			return err
		}
		tags[id] = tag
	}
	if err := rows.Err(); err != nil {
		return err
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, id := range ids {
		if w := ws.byID[id]; w != nil && w.seen != tags[id] { // 0 is the tag of what is not stored
			w.seen = tags[id]
			w.wake()
		}
	}
	return nil
}
