package sqlsession

import (
	"context"
	"sync"
	"time"

	"vibesdk-gcp/internal/sqldb"
)

const (
	// channel is the sqldb channel whose keys are the ids of sessions that changed.
	channel = "vibesdk_session"
	// noticePause is how long ids are gathered after a notification. The first one goes out at once.
	noticePause = 5 * time.Millisecond
	// noticeTimeout bounds one notification.
	noticeTimeout = 5 * time.Second
)

// notices tells watchers which sessions changed. Its goroutine runs while there is something to tell.
type notices struct {
	db *sqldb.DB

	mu      sync.Mutex
	ids     map[string]struct{}
	running bool
}

func (n *notices) add(id string) {
	if n.db.Dialect != sqldb.Postgres {
		_ = n.db.Notify(context.Background(), channel, id) // only wakes this process, and never fails
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids == nil {
		n.ids = map[string]struct{}{}
	}
	n.ids[id] = struct{}{}
	if !n.running {
		n.running = true
		go n.run()
	}
}

func (n *notices) run() {
	for {
		ids := n.take()
		if len(ids) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), noticeTimeout)
		_ = n.db.Notify(ctx, channel, ids...) // other processes find out by themselves, a little later
		cancel()
		time.Sleep(noticePause)
	}
}

// take empties the set, or ends the goroutine when it is empty.
func (n *notices) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := make([]string, 0, len(n.ids))
	for id := range n.ids {
		ids = append(ids, id)
	}
	clear(n.ids)
	n.running = len(ids) > 0
	return ids
}
