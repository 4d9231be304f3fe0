package sqllimit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/ratelimit"
)

// transaction is one batch of calls on its way through the database.
type transaction struct {
	b      *Backend
	ctx    context.Context
	tx     *sql.Tx
	now    int64 // the database's own clock, in milliseconds
	states map[string]*ratelimit.State
	// kept is the horizon that each key was loaded with.
	kept map[string]int64
}

// transaction runs a batch. Every call gets its own answer, or all get the error that undid them.
func (b *Backend) transaction(batch []*call) {
	ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
	defer cancel()
	err := b.db.Tx(ctx, func(tx *sql.Tx) error {
		t := &transaction{b: b, ctx: ctx, tx: tx, states: map[string]*ratelimit.State{}, kept: map[string]int64{}}
		return t.run(batch)
	})
	if err == nil {
		return
	}
	for _, c := range batch {
		c.err, c.decided = err, nil
	}
}

func (t *transaction) run(batch []*call) error {
	if err := t.lock(batch); err != nil {
		return err
	}
	if err := t.prefetch(batch); err != nil {
		return err
	}
	for _, c := range batch {
		var err error
		switch {
		case c.adjust != nil:
			err = t.adjust(c)
		case c.items == nil:
			err = t.reset(c.reset)
		default:
			err = t.take(c)
		}
		// What breaks a rule is that call's own fault and changed nothing.
		if errors.Is(err, ratelimit.ErrInvalid) {
			c.err = err
		} else if err != nil {
			return err
		}
	}
	return t.store()
}

// lock makes the keys this transaction's own and reads the clock.
func (t *transaction) lock(batch []*call) error {
	if t.b.db.Dialect == sqldb.SQLite { // it began by locking the database
		t.now = time.Now().UnixMilli()
		return nil
	}
	var ids []int64
	for _, c := range batch {
		for _, key := range c.keys() {
			ids = append(ids, lockID(key))
		}
	}
	slices.Sort(ids)
	mode := "off"
	if t.b.o.Durable {
		mode = "on"
	}
	var ignored string
	var count int
	return t.tx.QueryRowContext(t.ctx, t.b.sql.lock, slices.Compact(ids), mode).Scan(&t.now, &ignored, &count)
}

// at is the time of a call; it may yet move forward for a key whose clock was ahead.
func (t *transaction) at(now time.Time) int64 {
	if now.IsZero() {
		return t.now
	}
	return now.UnixMilli()
}

// prefetch reads, at once, the heads of all keys and the cells that the calls will most likely need.
func (t *transaction) prefetch(batch []*call) error {
	want := map[string]map[ratelimit.CellID]struct{}{}
	add := func(key string, now int64, rule ratelimit.Rule) {
		if want[key] == nil {
			want[key] = map[ratelimit.CellID]struct{}{}
		}
		for _, id := range rule.Plan(now) {
			want[key][id] = struct{}{}
		}
	}
	for _, c := range batch {
		for _, item := range c.items {
			add(item.Key, t.at(c.now), item.Rule)
		}
		if c.adjust != nil {
			add(c.adjust.Key, c.adjust.Bucket*c.adjust.Rule.Size, c.adjust.Rule)
		}
	}
	var rows wanted
	for _, key := range slices.Sorted(maps.Keys(want)) {
		t.states[key] = ratelimit.NewState(t.b.o.Keep, func(s *ratelimit.State, ids []ratelimit.CellID) error {
			var rows wanted
			for _, id := range ids {
				rows.add(key, id.String())
			}
			return t.read(rows, map[string]*ratelimit.State{key: s})
		})
		rows.add(key, "")
		for id := range want[key] {
			rows.add(key, id.String())
		}
	}
	if err := t.read(rows, t.states); err != nil {
		return err
	}
	for key, ids := range want {
		t.kept[key] = t.states[key].Horizon()
		for id := range ids {
			t.states[key].PutAbsent(id)
		}
	}
	return nil
}

// wanted names rows, key by key.
type wanted struct{ keys, cells []string }

func (w *wanted) add(key, cell string) {
	w.keys, w.cells = append(w.keys, key), append(w.cells, cell)
}

// args is how the dialect takes the names.
func (w *wanted) args(d sqldb.Dialect) ([]any, error) {
	if d == sqldb.Postgres {
		return []any{w.keys, w.cells}, nil
	}
	pairs := make([][2]string, len(w.keys))
	for i := range pairs {
		pairs[i] = [2]string{w.keys[i], w.cells[i]}
	}
	text, err := json.Marshal(pairs)
	return []any{string(text)}, err
}

// read puts stored rows into the states of their keys.
func (t *transaction) read(w wanted, states map[string]*ratelimit.State) error {
	if len(w.keys) == 0 {
		return nil
	}
	args, err := w.args(t.b.db.Dialect)
	if err != nil {
		return err
	}
	rows, err := t.tx.QueryContext(t.ctx, t.b.sql.read, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key, cell string
		var data []byte
		if err := rows.Scan(&key, &cell, &data); err != nil {
			return err
		}
		if err := states[key].PutRow(cell, data); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t *transaction) take(c *call) error {
	states := make([]*ratelimit.State, len(c.items))
	before := 0
	for i, item := range c.items {
		states[i] = t.states[item.Key]
		before += states[i].Touched()
	}
	var err error
	c.decided, err = ratelimit.TakeAll(t.at(c.now), c.now.IsZero(), states, c.items, c.dry)
	for _, s := range states {
		before -= s.Touched()
	}
	t.b.touched.Add(int64(-before))
	return err
}

func (t *transaction) adjust(c *call) error {
	a := c.adjust
	now := t.at(c.now)
	result, err := t.tx.ExecContext(t.ctx, t.b.sql.remember, a.Key, a.ID, now+a.Rule.Horizon())
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	err = t.states[a.Key].Adjust(now, a.Rule, a.Bucket, a.Delta)
	if errors.Is(err, ratelimit.ErrInvalid) { // the transaction goes on without this adjustment
		if _, undo := t.tx.ExecContext(t.ctx, t.b.sql.unremember, a.Key, a.ID); undo != nil {
			return undo
		}
	}
	return err
}

// reset forgets a key, also what this transaction did to it before.
func (t *transaction) reset(key string) error {
	if s := t.states[key]; s != nil {
		s.Clear()
		t.kept[key] = 0
	}
	_, err := t.tx.ExecContext(t.ctx, t.b.sql.reset, key)
	return err
}

// store writes what changed.
func (t *transaction) store() error {
	var keys, cells []string
	var data [][]byte
	var until []int64
	for _, key := range slices.Sorted(maps.Keys(t.states)) {
		s := t.states[key]
		rows := s.Changes()
		// Cells written under a shorter horizon must now stay longer.
		if grown := s.Horizon() - t.kept[key]; grown > 0 && t.kept[key] > 0 {
			if _, err := t.tx.ExecContext(t.ctx, t.b.sql.extend, key, grown); err != nil {
				return err
			}
		}
		for _, row := range rows {
			keys, cells, data, until = append(keys, key), append(cells, row.Name), append(data, row.Data), append(until, row.Until)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if t.b.db.Dialect == sqldb.Postgres {
		_, err := t.tx.ExecContext(t.ctx, t.b.sql.write, keys, cells, data, until)
		return err
	}
	write, err := t.tx.PrepareContext(t.ctx, t.b.sql.write)
	if err != nil {
		return err
	}
	defer func() { _ = write.Close() }() // it belongs to the transaction
	for i := range keys {
		if _, err := write.ExecContext(t.ctx, keys[i], cells[i], data[i], until[i]); err != nil {
			return err
		}
	}
	return nil
}
