package sqlsession

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

// maxTurn bounds the commits of one transaction, in number and bytes, beyond the first.
const maxTurn, maxTurnBytes = 500, 16 << 20

// turns writes to SQLite: all commits that wait go into the next transaction. Its goroutine runs while there are any.
type turns struct {
	db *sqldb.DB
	q  queries

	mu      sync.Mutex
	queue   []*waiting
	running bool

	// Only the goroutine uses these. They are closed with the database.
	insertHead, updateHead, putPart, dropParts *sql.Stmt
}

// waiting is a commit and the caller who waits for it.
type waiting struct {
	*write
	// state is 0 in the queue, 1 once a turn took it, 2 once its caller gave up.
	state  atomic.Int32
	err    error
	result chan error
}

func (t *turns) commit(ctx context.Context, w *write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	item := &waiting{write: w, result: make(chan error, 1)}
	t.mu.Lock()
	t.queue = append(t.queue, item)
	if !t.running {
		t.running = true
		go t.run()
	}
	t.mu.Unlock()
	select {
	case err := <-item.result:
		return err
	case <-ctx.Done():
		if item.state.CompareAndSwap(0, 2) {
			return ctx.Err()
		}
		return fmt.Errorf("outcome unknown: %w", ctx.Err())
	}
}

func (t *turns) run() {
	for {
		t.mu.Lock()
		if len(t.queue) == 0 {
			t.queue, t.running = nil, false
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		t.turn()
	}
}

// turn stores what waits in one transaction. When a statement fails, each commit gets a transaction of its own, so
// that only the one to blame fails.
func (t *turns) turn() {
	var batch []*waiting
	again, err := t.store(func() []*waiting {
		batch = t.take()
		return batch
	})
	switch {
	case batch == nil: // there was not even a transaction
		deliver(t.take(), err)
	case again && len(batch) > 1:
		for _, item := range batch {
			alone := []*waiting{item}
			_, err := t.store(func() []*waiting { return alone })
			deliver(alone, err)
		}
	default:
		deliver(batch, err)
	}
}

// deliver tells the callers what became of one transaction. After an error even a conflict is unknown: it was only
// seen in what was not committed.
func deliver(batch []*waiting, err error) {
	for _, item := range batch {
		if err != nil {
			item.err = err
		}
		item.result <- item.err
	}
}

// take claims what goes into one transaction.
func (t *turns) take() []*waiting {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch := []*waiting{} // never nil
	count, size := 0, 0
	for _, item := range t.queue {
		if len(batch) > 0 && (len(batch) >= maxTurn || size+item.size() > maxTurnBytes) {
			break
		}
		count++
		if item.state.CompareAndSwap(0, 1) {
			batch = append(batch, item)
			size += item.size()
		}
	}
	t.queue = t.queue[count:]
	return batch
}

// store runs one transaction; what goes into it is asked for once it has begun, because that may take a while. After
// an error, again says that it is certain that nothing was stored.
func (t *turns) store(take func() []*waiting) (again bool, err error) {
	// Each statement is short and bounded by the busy timeout; watching a context would cost a goroutine for each.
	ctx := context.Background()
	if err := t.prepare(ctx); err != nil {
		return true, err
	}
	again = true
	err = t.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, item := range take() {
			if err := t.write(ctx, tx, item); err != nil {
				return err
			}
		}
		again = false
		return nil
	})
	return again, err
}

// write stores one commit. A conflict is noted in item.
func (t *turns) write(ctx context.Context, tx *sql.Tx, item *waiting) error {
	item.err = nil
	head, args := t.insertHead, item.head
	if item.before > 0 {
		head, args = t.updateHead, append(args[:len(args):len(args)], item.before, item.beforeTag)
	}
	result, err := tx.StmtContext(ctx, head).ExecContext(ctx, args...) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		item.err = session.ErrConflict
		return nil
	}
	id := item.stored.ID
	if item.drop {
		kept, err := sqldb.Values(sqldb.SQLite, item.kept)
		if err != nil {
			return err
		}
		if _, err := tx.StmtContext(ctx, t.dropParts).ExecContext(ctx, id, kept); err != nil { //nolint:sqlclosecheck // as above
			return err
		}
	}
	put := tx.StmtContext(ctx, t.putPart) //nolint:sqlclosecheck // as above
	for i, name := range item.names {
		if _, err := put.ExecContext(ctx, id, name, item.tags[i], item.data[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *turns) prepare(ctx context.Context) error {
	for _, s := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&t.insertHead, t.q.insertHead},
		{&t.updateHead, t.q.updateHead},
		{&t.dropParts, t.q.dropParts},
		{&t.putPart, t.q.putPart},
	} {
		if *s.stmt != nil {
			continue
		}
		var err error
		if *s.stmt, err = t.db.W.PrepareContext(ctx, s.query); err != nil { //nolint:sqlclosecheck // closed with the database
			return err
		}
	}
	return nil
}
