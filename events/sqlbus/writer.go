package sqlbus

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/sqldb"
)

const (
	// turnTimeout bounds one transaction.
	turnTimeout = 30 * time.Second
	// maxTurn bounds the publications of one transaction, in messages and bytes, beyond the first.
	maxTurnMessages, maxTurnBytes = 2000, 16 << 20
	// publishTries is how often a publication is tried against transient errors.
	publishTries = 5
	// settleFor is how long a settlement is tried before its lease is left to expire.
	settleFor = 30 * time.Second
)

// writer is the one goroutine that writes: everything that waits goes into its next transaction.
type writer struct {
	d        *Driver
	ctx      context.Context
	cancel   context.CancelFunc
	finished chan struct{}
	wakeup   chan struct{}

	mu        sync.Mutex
	closed    bool
	publishes []*publication
	settles   []*settlement
	takers    []*receiver
}

func startWriter(d *Driver) *writer {
	w := &writer{d: d, finished: make(chan struct{}), wakeup: make(chan struct{}, 1)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	news, unsubscribe := d.db.Subscribe(channel)
	go func() {
		defer close(w.finished)
		defer unsubscribe()
		w.loop(news)
	}()
	return w
}

// stop ends the loop after the turn that runs, and fails what still waits.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	<-w.finished
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.publishes {
		p.result <- events.ErrClosed
	}
	for _, s := range w.settles {
		s.finish(events.ErrClosed)
	}
	w.publishes, w.settles = nil, nil
}

func (w *writer) wake() {
	select {
	case w.wakeup <- struct{}{}:
	default:
	}
}

// publish queues p. It fails when the writer was stopped.
func (w *writer) publish(p *publication) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return events.ErrClosed
	}
	w.publishes = append(w.publishes, p)
	w.wake()
	return nil
}

// settle queues settlements. It always takes them: what cannot be stored is finished with an error.
func (w *writer) settle(list ...*settlement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		for _, s := range list {
			go s.finish(events.ErrClosed) // the caller may hold its receiver's lock
		}
		return
	}
	w.settles = append(w.settles, list...)
	w.wake()
}

func (w *writer) addTaker(r *receiver) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return events.ErrClosed
	}
	w.takers = append(w.takers, r)
	return nil
}

func (w *writer) removeTaker(r *receiver) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takers = slices.DeleteFunc(w.takers, func(other *receiver) bool { return other == r })
}

// loop runs turns while there is work and sleeps until there may be some.
func (w *writer) loop(news <-chan struct{}) {
	due := time.NewTimer(0)
	defer due.Stop()
	beats := time.NewTicker(w.d.lease / 3)
	defer beats.Stop()
	pause := time.Duration(0)
	for w.ctx.Err() == nil {
		select { // also under load, when turns follow each other
		case <-news:
			w.markAll()
		case <-beats.C:
			w.d.owners.beatHeld(w.ctx)
		default:
		}
		w.markDue()
		worked, err := w.turn()
		if err != nil {
			w.d.log.Warn("sqlbus: transaction failed, trying again", "error", err)
			pause = min(max(2*pause, 20*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-w.ctx.Done():
			}
			continue
		}
		pause = 0
		if worked {
			continue
		}
		due.Reset(w.untilDue())
		select {
		case <-w.ctx.Done():
		case <-w.wakeup:
		case <-news:
			w.markAll()
		case <-due.C:
			w.markAll()
		case <-beats.C:
			w.d.owners.beatHeld(w.ctx)
		}
	}
}

// markAll makes the next turn look at every subscription.
func (w *writer) markAll() {
	for _, s := range w.d.subs {
		s.dirty = true
	}
}

// markDue makes the next turn look at the subscriptions whose delayed lanes may be ready.
func (w *writer) markDue() {
	now := sqldb.Micros(time.Now())
	for _, s := range w.d.subs {
		if s.nextDue > 0 && s.nextDue <= now {
			s.dirty, s.nextDue = true, 0
		}
	}
}

// untilDue is how long nothing becomes ready by itself, at most pollEvery.
func (w *writer) untilDue() time.Duration {
	wait := pollEvery
	for _, s := range w.d.subs {
		if s.nextDue > 0 {
			wait = min(wait, time.Until(sqldb.Time(s.nextDue)))
		}
	}
	return max(wait, 0)
}

// work is what one turn takes on.
type work struct {
	publishes []*publication
	settles   []*settlement
	claims    []*claim
}

// take collects the work of a turn.
func (w *writer) take() work {
	take, takers := w.queued()
	for _, r := range takers { // without mu: a receiver may hold its own lock and wait for ours
		if c := r.wants(); c != nil {
			take.claims = append(take.claims, c)
		}
	}
	return take
}

// queued takes from the queues.
func (w *writer) queued() (work, []*receiver) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var take work
	messages, size, count := 0, 0, 0
	for _, p := range w.publishes {
		if count > 0 && (messages+len(p.msgs) > maxTurnMessages || size+p.size > maxTurnBytes) {
			break
		}
		count++
		if p.take() {
			take.publishes = append(take.publishes, p)
			messages, size = messages+len(p.msgs), size+p.size
		}
		if p.alone {
			break
		}
	}
	w.publishes = slices.Delete(w.publishes, 0, count)
	take.settles, w.settles = w.settles, nil
	return take, slices.Clone(w.takers)
}

// turn runs one transaction and reports whether there was anything to do.
func (w *writer) turn() (bool, error) {
	take := w.take()
	ctx, cancel := w.turnContext()
	defer cancel()

	// Publications and settlements may make lanes ready; otherwise look before writing.
	if len(take.publishes) == 0 && len(take.settles) == 0 {
		if err := w.probe(ctx, take.claims); err != nil {
			deliver(take.claims)
			return false, err
		}
		if !slices.ContainsFunc(take.claims, func(c *claim) bool { return c.sub.dirty }) {
			deliver(take.claims)
			return false, nil
		}
	}
	var t *turn
	err := w.d.db.Tx(ctx, func(tx *sql.Tx) error {
		t = &turn{d: w.d, ctx: ctx, tx: tx, now: sqldb.Micros(time.Now())}
		err := t.run(take)
		beforeCommit.Hit()
		return err
	})
	if err != nil {
		w.failed(take, err)
		return true, err
	}
	afterCommit.Hit()
	t.committed(take)
	if t.left() {
		if err := w.d.db.Notify(ctx, channel); err != nil {
			w.d.log.Warn("sqlbus: other processes will notice late", "error", err)
		}
	}
	return true, nil
}

// turnContext bounds a turn on Postgres. SQLite bounds itself with its busy timeout, and watching a context
// there costs a goroutine for each statement.
func (w *writer) turnContext() (context.Context, context.CancelFunc) {
	if w.d.db.Dialect == sqldb.SQLite {
		return context.WithoutCancel(w.ctx), func() {}
	}
	return context.WithTimeout(context.WithoutCancel(w.ctx), turnTimeout)
}

// probe finds out, for claims alone, which subscriptions have something ready.
func (w *writer) probe(ctx context.Context, claims []*claim) error {
	for _, c := range claims {
		if !c.sub.dirty {
			continue
		}
		var due int64
		err := w.d.q.probe.QueryRowContext(ctx, c.sub.id).Scan(&due)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			c.sub.dirty, c.sub.nextDue = false, 0
		case err != nil:
			return err
		case due > sqldb.Micros(time.Now()):
			c.sub.dirty, c.sub.nextDue = false, due
		}
	}
	return nil
}

// failed sorts out a turn that did not commit, or whose commit has an unknown outcome.
func (w *writer) failed(take work, err error) {
	// Claims of an unknown outcome may hold lanes that nobody handles: let that owner's beat stop.
	w.d.owners.rotate()
	for _, c := range take.claims {
		c.leases = nil
	}
	deliver(take.claims)
	w.markAll()
	again := work{}
	for _, p := range take.publishes {
		p.tries++
		switch {
		case sqldb.IsTransient(err) && p.tries < publishTries:
			again.publishes = append(again.publishes, p)
		case !sqldb.IsTransient(err) && len(take.publishes) > 1 && !p.alone:
			p.alone = true // find the one to blame
			again.publishes = append(again.publishes, p)
		default:
			p.result <- err
		}
	}
	for _, s := range take.settles {
		if time.Since(s.since) < settleFor {
			again.settles = append(again.settles, s)
			continue
		}
		w.d.owners.release(s.lease.owner, 1)
		s.finish(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.publishes = append(again.publishes, w.publishes...)
	w.settles = append(again.settles, w.settles...)
}
