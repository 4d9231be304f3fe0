package ratelimit

import (
	"container/list"
	"context"
	"strings"
	"sync"
	"time"
)

// Memory is a [Backend] in this process, for a bounded number of keys: the one charged longest ago is forgotten
// first. It is the guard of a [Limiter] and needs no Close.
type Memory struct {
	clock func() time.Time
	keep  time.Duration
	max   int

	mu       sync.Mutex
	keys     map[string]*memoryKey
	oldest   list.List // of *memoryKey, the one to forget first in front
	adjusted map[string]int64
	touched  int64
}

type memoryKey struct {
	name  string
	state *State
	// swept is how many cells were left when old ones were forgotten last.
	swept int
	place *list.Element
}

var _ Backend = (*Memory)(nil)

// MemoryOptions tune [NewMemory].
type MemoryOptions struct {
	// Keys bounds the keys, and the adjustments remembered. Defaults to 10,000.
	Keys int
	// Keep is how long counts are kept at least, for rules with longer windows than those that charged. Defaults to 0.
	Keep time.Duration
	// Now is the backend's own clock. Defaults to time.Now.
	Now func() time.Time
}

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.Keys <= 0 {
		o.Keys = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Memory{clock: o.Now, keep: o.Keep, max: o.Keys, keys: map[string]*memoryKey{}, adjusted: map[string]int64{}}
}

// Take implements [Backend].
func (m *Memory) Take(ctx context.Context, now time.Time, items []Item, dry bool) ([]Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	states := make([]*State, len(items))
	for i, item := range items {
		if known := m.keys[item.Key]; known != nil {
			states[i] = known.state
		} else {
			states[i] = NewState(m.keep, nil)
		}
		before := states[i].Touched()
		defer func() { m.touched += int64(states[i].Touched() - before) }()
	}
	answers, err := TakeAll(Millis(now, m.clock), now.IsZero(), states, items, dry)
	if err != nil || dry || Rejected(answers) {
		return answers, err
	}
	for i, item := range items {
		m.store(item.Key, states[i], answers[i].Now)
	}
	return answers, nil
}

// store keeps a state as the one charged last and forgets what is too much.
func (m *Memory) store(name string, state *State, now int64) {
	known := m.keys[name]
	if known == nil {
		known = &memoryKey{name: name, state: state}
		known.place = m.oldest.PushBack(known)
		m.keys[name] = known
	}
	m.oldest.MoveToBack(known.place)
	if known.state.cellCount() > 2*known.swept+16 {
		known.state.forget(now)
		known.swept = known.state.cellCount()
	}
	if len(m.keys) > m.max {
		m.remove(m.oldest.Front().Value.(*memoryKey))
	}
}

func (m *Memory) remove(k *memoryKey) {
	m.oldest.Remove(k.place)
	delete(m.keys, k.name)
}

// Adjust implements [Backend].
func (m *Memory) Adjust(ctx context.Context, now time.Time, a Adjustment) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := Millis(now, m.clock)
	id := a.Key + "\x00" + a.ID
	if _, seen := m.adjusted[id]; seen {
		return nil
	}
	state := NewState(m.keep, nil)
	if known := m.keys[a.Key]; known != nil {
		state = known.state
	}
	if err := state.Adjust(at, a.Rule, a.Bucket, a.Delta); err != nil {
		return err
	}
	m.store(a.Key, state, at)
	if len(m.adjusted) >= m.max {
		m.forgetAdjusted(at)
	}
	m.adjusted[id] = at + a.Rule.Horizon()
	return nil
}

// forgetAdjusted makes room: first what no adjustment can refer to any more, then anything.
func (m *Memory) forgetAdjusted(now int64) {
	for id, until := range m.adjusted {
		if until < now {
			delete(m.adjusted, id)
		}
	}
	for id := range m.adjusted {
		if len(m.adjusted) < m.max {
			return
		}
		delete(m.adjusted, id)
	}
}

// Reset implements [Backend].
func (m *Memory) Reset(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.keys[key]; known != nil {
		m.remove(known)
	}
	return nil
}

// Sweep implements [Backend].
func (m *Memory) Sweep(ctx context.Context, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, freed := Millis(now, m.clock), 0
	for _, k := range m.keys {
		if err := ctx.Err(); err != nil {
			return freed, err
		}
		before := k.state.cellCount()
		k.state.forget(at)
		if k.swept = k.state.cellCount(); k.swept == 0 {
			m.remove(k)
		}
		freed += before - k.swept
	}
	for id, until := range m.adjusted {
		if until < at {
			delete(m.adjusted, id)
			freed++
		}
	}
	return freed, nil
}

// Dump implements [Backend].
func (m *Memory) Dump(ctx context.Context, key string) (Counts, error) {
	if err := ctx.Err(); err != nil {
		return Counts{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Counts{Key: key}
	if known := m.keys[key]; known != nil {
		c = known.state.Counts(key)
	}
	for id, until := range m.adjusted {
		if of, name, _ := strings.Cut(id, "\x00"); of == key {
			c.Adjusted = append(c.Adjusted, Adjusted{ID: name, Until: until})
		}
	}
	return c, nil
}

// Restore implements [Backend].
func (m *Memory) Restore(ctx context.Context, c Counts) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range c.Adjusted {
		id := c.Key + "\x00" + a.ID
		m.adjusted[id] = max(m.adjusted[id], a.Until)
	}
	known := m.keys[c.Key]
	if known != nil && known.state.head.clock > c.Clock {
		return false, nil
	}
	state := NewState(m.keep, nil)
	if err := state.Restore(c); err != nil {
		return false, err
	}
	if known != nil {
		m.remove(known)
	}
	if len(c.Sizes) > 0 {
		m.store(c.Key, state, c.Clock)
	}
	return true, nil
}

// Touched is how many cells all calls so far have read or written.
func (m *Memory) Touched() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.touched
}
