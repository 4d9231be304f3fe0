package sqldb

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// hub carries "something changed on this channel" between goroutines of this process and, on Postgres,
// between processes with LISTEN/NOTIFY.
type hub struct {
	mu     sync.Mutex
	subs   map[string]map[chan struct{}]struct{}
	cancel context.CancelFunc
	closed bool
}

// Notify wakes the subscribers of a channel, here and, on Postgres, in other processes. Call it after the commit.
// It is a hint: subscribers must also look from time to time.
func (db *DB) Notify(ctx context.Context, channel string) error {
	db.hub.wake(channel)
	if db.Dialect != Postgres {
		return nil
	}
	_, err := db.W.ExecContext(ctx, "SELECT pg_notify($1, '')", channel)
	return err
}

// Subscribe returns a channel that holds one token after one or more Notify calls, and a function that ends
// the subscription. Names must be valid Postgres identifiers.
func (db *DB) Subscribe(channel string) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	h := &db.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[string]map[chan struct{}]struct{}{}
	}
	if h.subs[channel] == nil {
		h.subs[channel] = map[chan struct{}]struct{}{}
		if db.Dialect == Postgres {
			h.relisten(db.url)
		}
	}
	h.subs[channel][c] = struct{}{}
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs[channel], c)
	}
}

func (h *hub) wake(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.subs[channel] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.cancel != nil {
		h.cancel()
	}
}

// relisten replaces the listening connection by one that also listens to the newest channel.
func (h *hub) relisten(url string) {
	if h.cancel != nil {
		h.cancel()
	}
	if h.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	channels := make([]string, 0, len(h.subs))
	for name := range h.subs {
		channels = append(channels, name)
	}
	go h.listen(ctx, url, channels)
}

func (h *hub) listen(ctx context.Context, url string, channels []string) {
	for ctx.Err() == nil {
		h.listenOnce(ctx, url, channels)
		for _, name := range channels {
			h.wake(name) // what was missed while not listening
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (h *hub) listenOnce(ctx context.Context, url string, channels []string) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, name := range channels {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{name}.Sanitize()); err != nil {
			return
		}
		h.wake(name)
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return
		}
		h.wake(n.Channel)
	}
}
