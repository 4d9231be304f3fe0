package sqlbus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"vibesdk-gcp/internal/filelock"
	"vibesdk-gcp/internal/sqldb"
)

// owners keeps the leases of this process alive and frees those of dead ones.
type owners struct {
	d *Driver
	// process names this driver's lock file in dir; both are empty on Postgres.
	process, dir string
	lock         *filelock.Lock

	cancel  context.CancelFunc
	running sync.WaitGroup

	mu sync.Mutex
	// id is the owner of the next claims; 0: the next claim makes one.
	id int64
	// held counts the lanes that this process holds, by owner: after a change of owner there may be several.
	held map[int64]int
	// seen is what the beats of others were, and since when.
	seen map[int64]sighting
}

type sighting struct {
	beat  int64
	since time.Time
}

func openOwners(d *Driver) (*owners, error) {
	o := &owners{d: d, held: map[int64]int{}, seen: map[int64]sighting{}}
	if path := d.db.Path(); path != "" {
		o.process, o.dir = uuid.NewString(), path+"-owners"
		var err error
		if o.lock, err = filelock.Try(filepath.Join(o.dir, o.process)); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// start begins to look after dead owners.
func (o *owners) start() {
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	o.running.Go(func() {
		ticker := time.NewTicker(o.d.lease / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				o.reap(ctx)
			}
		}
	})
}

func (o *owners) stop() {
	o.cancel()
	o.running.Wait()
}

// close forgets this process. Leases that could not be settled stay, to be freed as a dead process's.
func (o *owners) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), turnTimeout)
	defer cancel()
	var err error
	if o.id != 0 {
		_, err = o.d.q.removeOwner.ExecContext(ctx, o.id)
	}
	if o.lock != nil {
		err = errors.Join(err, o.lock.Remove())
	}
	return err
}

// current gives the owner for a turn's claims and moves its beat on. When somebody took this process for dead,
// the row is gone and so are the leases: it starts over under a new id, so that late settlements of old
// leases match nothing.
func (o *owners) current(t *turn) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.id != 0 {
		found, err := t.exec(o.d.q.beat, o.id)
		if err != nil {
			return 0, fmt.Errorf("beat: %w", err)
		}
		if found > 0 {
			return o.id, nil
		}
		if held := o.held[o.id]; held > 0 {
			o.d.log.Warn("sqlbus: leases were lost, their messages are delivered again", "lanes", held)
		}
	}
	o.id = rand.Int64N(1<<62) + 1 //nolint:gosec // unique, not secret
	if _, err := t.exec(o.d.q.addOwner, o.id, o.process); err != nil {
		return 0, fmt.Errorf("add owner: %w", err)
	}
	return o.id, nil
}

// rotate makes the next claims use a new owner. The old one's beat stops when its last lease is settled.
func (o *owners) rotate() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.id = 0
}

func (o *owners) claimed(owner int64, lanes int) {
	if lanes == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held[owner] += lanes
}

func (o *owners) release(owner int64, lanes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held[owner] -= lanes; o.held[owner] <= 0 {
		delete(o.held, owner)
	}
}

// beatHeld moves the beats of all owners under which this process holds something.
func (o *owners) beatHeld(ctx context.Context) {
	o.mu.Lock()
	ids := make([]int64, 0, len(o.held))
	for id := range o.held {
		ids = append(ids, id)
	}
	o.mu.Unlock()
	for _, id := range ids {
		if _, err := o.d.q.beat.ExecContext(ctx, id); err != nil && ctx.Err() == nil {
			o.d.log.Warn("sqlbus: heartbeat failed", "error", err)
		}
	}
}

// mine reports an owner of this process.
func (o *owners) mine(id int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return id == o.id || o.held[id] > 0
}

// reap frees what dead owners hold. Trouble is logged: the next round tries again.
func (o *owners) reap(ctx context.Context) {
	others, err := o.others(ctx)
	if err != nil {
		o.troubled(ctx, err)
		return
	}
	still := map[int64]sighting{}
	for _, other := range others {
		sight, known := o.seen[other.id]
		if !known || sight.beat != other.beat {
			sight = sighting{other.beat, time.Now()}
		}
		still[other.id] = sight
		if time.Since(sight.since) < o.d.lease && !o.gone(ctx, other.process) {
			continue
		}
		if err := o.free(ctx, other.id, other.beat); err != nil {
			o.troubled(ctx, err)
		}
	}
	o.seen = still
}

// owner is a row of bus_owners.
type owner struct {
	id, beat int64
	process  string
}

// others lists the owners of other processes, and of this one those whose outcome is unknown.
func (o *owners) others(ctx context.Context) ([]owner, error) {
	rows, err := o.d.q.listOwners.QueryContext(ctx)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var others []owner
	for rows.Next() {
		var other owner
		if err := rows.Scan(&other.id, &other.process, &other.beat); err != nil {
			return nil, err
		}
		if !o.mine(other.id) {
			others = append(others, other)
		}
	}
	return others, rows.Err()
}

// gone reports whether the lock file of a process proves that it ended.
func (o *owners) gone(ctx context.Context, process string) bool {
	if o.dir == "" || process == "" || process == o.process {
		return false
	}
	held, err := filelock.Held(filepath.Join(o.dir, process))
	if err != nil {
		o.troubled(ctx, err)
		return false
	}
	return !held
}

// free frees the lanes of an owner whose beat is still the one given.
func (o *owners) free(ctx context.Context, id, beat int64) error {
	var freed int64
	err := o.d.db.Tx(ctx, func(tx *sql.Tx) error {
		t := &turn{d: o.d, ctx: ctx, tx: tx}
		taken, err := t.exec(o.d.q.takeOwner, id, beat)
		if err != nil || taken == 0 {
			return err
		}
		freed, err = t.exec(o.d.q.freeOwned, id)
		return err
	})
	if err != nil || freed == 0 {
		return err
	}
	o.d.log.Info("sqlbus: freed what a dead process held", "lanes", freed)
	return o.d.db.Notify(ctx, channel)
}

func (o *owners) troubled(ctx context.Context, err error) {
	if ctx.Err() == nil && !sqldb.IsTransient(err) {
		o.d.log.Warn("sqlbus: looking for dead owners failed", "error", err)
	}
}
