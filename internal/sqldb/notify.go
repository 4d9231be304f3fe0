package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// watchEvery is how often a SQLite database is looked at for commits of other processes.
	watchEvery = 50 * time.Millisecond
	// relistenAfter is the pause after the listening connection broke.
	relistenAfter = time.Second
)

// maxPayload is how many bytes of keys one Postgres notification carries: the server takes less than 8000 in all.
const maxPayload = 7900

// hub carries "something changed on this channel" between goroutines of this process and, with listener,
// from other processes.
type hub struct {
	mu     sync.Mutex
	subs   map[string]map[*subscriber]struct{}
	closed bool

	// cancel ends the listener that runs, and running waits for it.
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// subscriber hears the keys of one Notify, nil when anything may have changed. It is called with the hub locked.
type subscriber func(keys []string)

// Notify wakes the subscribers of a channel, here and in other processes. Call it after the commit. It is a
// hint: subscribers must also look from time to time. On SQLite other processes wake all their subscribers
// within about 50 ms of any commit, so there this reaches only the present process. Keys, valid UTF-8 of at most
// 1000 bytes each, tell those of [DB.SubscribeKeys] what changed.
func (db *DB) Notify(ctx context.Context, channel string, keys ...string) error {
	db.hub.wake(channel, keys)
	if db.Dialect != Postgres {
		return nil
	}
	payloads, err := db.payloads(keys)
	if err != nil {
		return err
	}
	// A notification does not outlive the server, so its commit need not wait for the disk.
	_, err = db.W.ExecContext(ctx, "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, p) FROM unnest($2::text[]) p",
		channel, payloads)
	return err
}

// Subscribe returns a channel that holds one token after one or more Notify calls, and a function that ends
// the subscription. Spurious tokens are normal. Names must be valid Postgres identifiers of at most 63 bytes.
func (db *DB) Subscribe(channel string) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	return c, db.SubscribeKeys(channel, func([]string) { wake(c) })
}

// SubscribeKeys calls fn with the keys of each Notify, and with nil when anything may have changed. fn must return at
// once, and neither subscribe nor notify. It is not called any more once the function that ends the subscription has
// returned.
func (db *DB) SubscribeKeys(channel string, fn func(keys []string)) (end func()) {
	s := (*subscriber)(&fn)
	h := &db.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[string]map[*subscriber]struct{}{}
	}
	first := h.subs[channel] == nil
	if first {
		h.subs[channel] = map[*subscriber]struct{}{}
	}
	h.subs[channel][s] = struct{}{}
	switch {
	case h.closed:
	case db.Dialect == Postgres && first:
		// The new listener listens to the new channel as well.
		if h.cancel != nil {
			h.cancel()
		}
		channels := make([]string, 0, len(h.subs))
		for name := range h.subs {
			channels = append(channels, name)
		}
		h.start(func(ctx context.Context) { h.listen(ctx, db, channels) })
	case db.Dialect == SQLite && h.cancel == nil:
		h.start(func(ctx context.Context) { h.watch(ctx, db.R) })
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs[channel], s)
	}
}

// payloads packs keys into as few notifications as they fit in: the name of this handle, a line break, and a JSON list.
// No keys make one empty payload.
func (db *DB) payloads(keys []string) ([]string, error) {
	if len(keys) == 0 {
		return []string{""}, nil
	}
	var list []string
	var b strings.Builder
	for _, key := range keys {
		text, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		if b.Len() > 0 && b.Len()+len(text)+2 > maxPayload {
			list = append(list, b.String()+"]")
			b.Reset()
		}
		if b.Len() == 0 {
			b.WriteString(db.self + "\n[")
		} else {
			b.WriteByte(',')
		}
		b.Write(text)
	}
	return append(list, b.String()+"]"), nil
}

// heard wakes those whom a notification concerns. This handle's own subscribers were woken when it was sent.
func (h *hub) heard(self, channel, payload string) {
	from, list, keyed := strings.Cut(payload, "\n")
	if keyed && from == self {
		return
	}
	var keys []string
	if keyed && json.Unmarshal([]byte(list), &keys) != nil {
		keys = nil
	}
	h.wake(channel, keys)
}

func (h *hub) start(listener func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.running.Go(func() { listener(ctx) })
}

func (h *hub) wake(channel string, keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[channel] {
		(*s)(keys)
	}
}

func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, subs := range h.subs {
		for s := range subs {
			(*s)(nil)
		}
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	if h.cancel != nil {
		h.cancel()
	}
	h.mu.Unlock()
	h.running.Wait()
}

// watch wakes everyone when another connection committed to a SQLite file. It holds one connection, because
// data_version counts the changes that its own connection did not make.
func (h *hub) watch(ctx context.Context, pool *sql.DB) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return // closed already
	}
	defer func() { _ = conn.Close() }() // back to the pool
	// Each look is a few microseconds; with a context that can end it would also cost a goroutine.
	look, err := conn.PrepareContext(context.WithoutCancel(ctx), "PRAGMA data_version")
	if err != nil {
		return // as above: the file is open, and the statement is right
	}
	defer func() { _ = look.Close() }() // nothing was written through it
	last := int64(-1)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		var version int64
		if err := look.QueryRowContext(context.WithoutCancel(ctx)).Scan(&version); err == nil && version != last {
			last = version
			h.wakeAll()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// listen wakes the subscribers of the channels that other sessions notify, reconnecting for ever.
func (h *hub) listen(ctx context.Context, db *DB, channels []string) {
	for ctx.Err() == nil {
		h.listenOnce(ctx, db, channels)
		select {
		case <-ctx.Done():
		case <-time.After(relistenAfter):
			h.wakeAll() // what was missed while not listening
		}
	}
}

func (h *hub) listenOnce(ctx context.Context, db *DB, channels []string) {
	conn, err := pgx.Connect(ctx, db.url)
	if err != nil {
		return
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), relistenAfter)
		defer cancel()
		_ = conn.Close(closing) // the connection is of no more use
	}()
	for _, name := range channels {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{name}.Sanitize()); err != nil {
			return
		}
		h.wake(name, nil)
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return
		}
		h.heard(db.self, n.Channel, n.Payload)
	}
}
