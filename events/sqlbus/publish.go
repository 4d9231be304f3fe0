package sqlbus

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"sync/atomic"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/sqldb"
)

// publication is one call of Publish waiting for its turn.
type publication struct {
	topic  events.Topic
	subs   []*subscription
	msgs   []events.Message
	attrs  []string // the messages' attributes as JSON
	size   int
	result chan error

	// state is 0 while it waits, 1 once a turn took it, 2 once its caller gave up.
	state atomic.Int32
	// alone: it goes into a turn without other publications. tries counts its failed turns.
	alone bool
	tries int
}

// take claims the publication for a turn; false when its caller gave up. Taking again is fine.
func (p *publication) take() bool { return p.state.CompareAndSwap(0, 1) || p.state.Load() == 1 }

// Publish implements [events.Driver]. All messages of a call are stored in one transaction, or none; when
// ctx ends meanwhile it is unknown which.
func (d *Driver) Publish(ctx context.Context, topic events.Topic, msgs []events.Message) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	p := &publication{topic: topic, subs: d.topics[topic.Name], result: make(chan error, 1)}
	if len(p.subs) == 0 {
		return nil
	}
	for _, m := range msgs {
		attrs, err := json.Marshal(m.Attributes)
		if err != nil {
			return fmt.Errorf("attributes of %s: %w", m.ID, err)
		}
		m.Data = bytes.Clone(m.Data) // the caller may go on before the turn does
		p.msgs = append(p.msgs, m)
		p.attrs = append(p.attrs, string(attrs))
		p.size += len(m.Data) + len(attrs) + 256
	}
	weight := min(int64(p.size), maxQueued)
	if err := d.queue.Acquire(ctx, weight); err != nil {
		return context.Cause(ctx)
	}
	defer d.queue.Release(weight)
	if err := d.writer.publish(p); err != nil {
		return err
	}
	select {
	case err := <-p.result:
		return err
	case <-ctx.Done():
		if p.state.CompareAndSwap(0, 2) {
			return context.Cause(ctx)
		}
		return fmt.Errorf("outcome unknown: %w", context.Cause(ctx))
	}
}

// stripeClass is the first half of the advisory locks' numbers; stripes is how many second halves there are.
// Few, because a transaction may need them all and Postgres holds locks in a table of fixed size.
const (
	stripeClass = 0x76627573 // "vbus"
	stripes     = 64
)

// stripe is the advisory lock of a key of a subscription's topic.
func stripe(sub int64, key string) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return int32((h.Sum32() + uint32(sub)) % stripes)
}

// publish stores the messages of a turn.
func (t *turn) publish(list []*publication) error {
	if len(list) == 0 {
		return nil
	}
	if err := t.lockKeys(list); err != nil {
		return err
	}
	var lanes, messages []any
	for _, s := range t.subscribed(list) {
		ids, laneOf, err := t.drawFor(s, list)
		if err != nil {
			return err
		}
		for _, p := range list {
			if !slices.Contains(p.subs, s) {
				continue
			}
			for i, m := range p.msgs {
				due := sqldb.Micros(m.NotBefore)
				if due <= t.now {
					due = 0
				}
				id := ids.next()
				lane, known := id, false
				if s.ordered {
					lane, known = laneOf[m.Key]
					if !known {
						lane = id
						laneOf[m.Key], id = lane, ids.next()
					}
				}
				if !known {
					lanes = append(lanes, lane, s.id, sql.NullString{String: m.Key, Valid: s.ordered}, due)
				}
				t.ready(s, due)
				messages = append(messages, id, sql.NullInt64{Int64: lane, Valid: s.ordered}, len(m.Data), t.now,
					m.ID, m.Type, m.Source, sqldb.Micros(m.Time), sqldb.Micros(m.NotBefore), p.attrs[i], m.Data)
			}
		}
	}
	if err := t.insert(t.d.q.insertLanes, laneColumns, lanes); err != nil {
		return fmt.Errorf("store lanes: %w", err)
	}
	if err := t.insert(t.d.q.insertMessages, messageColumns, messages); err != nil {
		return fmt.Errorf("store messages: %w", err)
	}
	return nil
}

// subscribed lists the subscriptions that the publications go to, each once.
func (t *turn) subscribed(list []*publication) []*subscription {
	var subs []*subscription
	for _, p := range list {
		for _, s := range p.subs {
			if !slices.Contains(subs, s) {
				subs = append(subs, s)
			}
		}
	}
	return subs
}

// lockKeys takes the locks of all ordered keys, in one order for all processes. SQLite has none to take.
func (t *turn) lockKeys(list []*publication) error {
	if t.d.q.lockKeys == nil {
		return nil
	}
	var needed []int32
	for _, p := range list {
		for _, s := range p.subs {
			if !s.ordered {
				continue
			}
			for _, m := range p.msgs {
				needed = append(needed, stripe(s.id, m.Key))
			}
		}
	}
	if len(needed) == 0 {
		return nil
	}
	slices.Sort(needed)
	return t.query(t.d.q.lockKeys, func(*sql.Rows) (bool, error) { return true, nil },
		stripeClass, slices.Compact(needed))
}

// drawn are ids in ascending order.
type drawn []int64

func (d *drawn) next() int64 {
	id := (*d)[0]
	*d = (*d)[1:]
	return id
}

// drawFor draws the ids for a subscription's messages and, when it is ordered, looks up the lanes of their keys:
// one id for each message, one more for each lane to be made.
func (t *turn) drawFor(s *subscription, list []*publication) (*drawn, map[string]int64, error) {
	count, laneOf := 0, map[string]int64{}
	keys := map[string]bool{}
	for _, p := range list {
		if slices.Contains(p.subs, s) {
			count += len(p.msgs)
			for _, m := range p.msgs {
				keys[m.Key] = true
			}
		}
	}
	if s.ordered {
		wanted := make([]string, 0, len(keys))
		for key := range keys {
			wanted = append(wanted, key)
		}
		arg, err := sqldb.Values(t.d.db.Dialect, wanted)
		if err != nil {
			return nil, nil, err
		}
		if err := t.query(t.d.q.lanesOfKeys, func(row *sql.Rows) (bool, error) {
			var id int64
			var key string
			err := row.Scan(&id, &key)
			laneOf[key] = id
			return true, err
		}, s.id, arg); err != nil {
			return nil, nil, fmt.Errorf("look up lanes: %w", err)
		}
		count += len(keys) - len(laneOf)
	}
	ids := make(drawn, 0, count)
	if err := t.query(t.d.q.drawIDs, func(row *sql.Rows) (bool, error) {
		var id int64
		err := row.Scan(&id)
		ids = append(ids, id)
		return true, err
	}, count); err != nil {
		return nil, nil, fmt.Errorf("draw ids: %w", err)
	}
	if t.d.db.Dialect == sqldb.SQLite { // gave the id after the last
		end := ids[0]
		ids = ids[:0]
		for id := end - int64(count); id < end; id++ {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return &ids, laneOf, nil
}

// insert stores rows with as few statements as the prepared sizes allow.
func (t *turn) insert(stmts map[int]*sql.Stmt, columns int, args []any) error {
	for _, rows := range chunks {
		for len(args) >= rows*columns {
			if _, err := t.exec(stmts[rows], args[:rows*columns]...); err != nil {
				return err
			}
			args = args[rows*columns:]
		}
	}
	return nil
}
