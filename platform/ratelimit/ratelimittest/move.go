package ratelimittest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// moving is a backend whose keys move between two again and again, each before every third call about it.
type moving struct {
	backends [2]ratelimit.Backend

	mu    sync.Mutex
	homes map[string]int
	calls int
}

func newMoving(a, b ratelimit.Backend) *moving {
	return &moving{backends: [2]ratelimit.Backend{a, b}, homes: map[string]int{}}
}

// newMemory is the other home of keys that move.
func newMemory(now func() time.Time) *ratelimit.Memory {
	return ratelimit.NewMemory(ratelimit.MemoryOptions{Keys: 1 << 20, Keep: 48 * time.Hour, Now: now})
}

// home brings the keys to one backend.
func (m *moving) home(ctx context.Context, keys ...string) (ratelimit.Backend, error) {
	m.calls++
	home := m.homes[keys[0]]
	if m.calls%3 == 0 {
		home = 1 - home
	}
	for _, key := range keys {
		if m.homes[key] == home {
			continue
		}
		if err := move(ctx, m.backends[1-home], m.backends[home], key); err != nil {
			return nil, err
		}
		m.homes[key] = home
	}
	return m.backends[home], nil
}

// move takes the counts of a key from one backend to another, in the form in which they travel.
func move(ctx context.Context, from, to ratelimit.Backend, key string) error {
	dumped, err := from.Dump(ctx, key)
	if err != nil {
		return fmt.Errorf("dump %s: %w", key, err)
	}
	data, err := json.Marshal(dumped)
	if err != nil {
		return err
	}
	var c ratelimit.Counts
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return fmt.Errorf("what was dumped: %w", err)
	}
	if restored, err := to.Restore(ctx, c); err != nil || !restored {
		return fmt.Errorf("restore %s: %t, %w", key, restored, err)
	}
	return nil
}

// Take implements [ratelimit.Backend].
func (m *moving) Take(ctx context.Context, now time.Time, items []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]string, len(items))
	for i, item := range items {
		keys[i] = item.Key
	}
	b, err := m.home(ctx, keys...)
	if err != nil {
		return nil, err
	}
	return b.Take(ctx, now, items, dry)
}

// Adjust implements [ratelimit.Backend].
func (m *moving) Adjust(ctx context.Context, now time.Time, a ratelimit.Adjustment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.home(ctx, a.Key)
	if err != nil {
		return err
	}
	return b.Adjust(ctx, now, a)
}

// Reset implements [ratelimit.Backend].
func (m *moving) Reset(ctx context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.home(ctx, key)
	if err != nil {
		return err
	}
	return b.Reset(ctx, key)
}

// Sweep implements [ratelimit.Backend].
func (m *moving) Sweep(ctx context.Context, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.backends[0].Sweep(ctx, now)
}

// Dump implements [ratelimit.Backend].
func (m *moving) Dump(ctx context.Context, key string) (ratelimit.Counts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.backends[m.homes[key]].Dump(ctx, key)
}

// Restore implements [ratelimit.Backend].
func (m *moving) Restore(ctx context.Context, c ratelimit.Counts) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.backends[m.homes[c.Key]].Restore(ctx, c)
}

// movedHistories: nobody can tell from any answer that a key moved in between.
func movedHistories(s *subject) {
	moved := *s
	moved.Backend = newMoving(s.Backend, newMemory(nil))
	randomHistories(&moved)
}

func (s *subject) dump(key string) ratelimit.Counts {
	s.Helper()
	c, err := s.Dump(context.Background(), key)
	if err != nil {
		s.Fatalf("Dump %s: %v", key, err)
	}
	return c
}

func (s *subject) restore(c ratelimit.Counts, want bool) {
	s.Helper()
	if err := c.Check(); err != nil {
		s.Fatal(err)
	}
	if got, err := s.Restore(context.Background(), c); err != nil || got != want {
		s.Fatalf("Restore %s: %t, %v; want %t", c.Key, got, err, want)
	}
}

func dumpOfNothing(s *subject) {
	if c := s.dump("nobody"); c.Key != "nobody" || len(c.Buckets)+len(c.Sizes)+len(c.Adjusted) > 0 || c.Clock != 0 {
		s.Errorf("a key without counts: %+v", c)
	}
}

// restoreReplaces: nothing is left of what was counted before, and twice is once.
func restoreReplaces(s *subject) {
	r, other := per(s, 100, 3600), rule(s, ratelimit.Config{Limit: 100, Period: 3600, BucketSize: 60})
	from := newMemory(nil)
	elsewhere := &subject{T: s.T, Backend: from}
	for i := range 40 {
		elsewhere.charge(after(time.Duration(i)*10*time.Second), "k", r, 1.5)
		elsewhere.charge(after(time.Duration(i)*10*time.Second), "k", other, 0)
	}
	for i := range 10 {
		s.charge(after(time.Duration(i)*time.Minute), "k", r, 7)
	}
	s.charge(noon, "stays", r, 3)
	want := elsewhere.dump("k")
	late := after(10 * time.Minute)
	for range 2 {
		s.restore(want, true)
		s.wantCount(late, "k", r, 60, "what was restored counts and nothing else")
		s.wantCount(late, "stays", r, 3, "another key was restored")
		if d := s.dump("k").Difference(want, late.UnixMilli()); d != "" {
			s.Errorf("what was restored differs from what was dumped: %s", d)
		}
	}
	s.charge(late, "k", r, 1)
	s.wantCount(late, "k", r, 61, "it goes on")
	if d := s.dump("k").Difference(want, late.UnixMilli()); d == "" {
		s.Error("a charge more makes no difference")
	}
	s.restore(ratelimit.Counts{Key: "k"}, true)
	s.wantCount(late, "k", r, 0, "no counts were restored")
}

// laterChargeStays: a migration that is run again does not undo what was charged at the new home.
func laterChargeStays(s *subject) {
	r := per(s, 100, 3600)
	charge := func() int64 {
		return s.take(time.Time{}, false, ratelimit.Item{Key: "k", Rule: r, N: 1})[0].Now
	}
	charge()
	before := s.dump("k")
	if before.Clock == 0 {
		s.Fatal("the clock of a charge is not dumped")
	}
	s.restore(before, true)
	for s.take(time.Time{}, true, ratelimit.Item{Key: "k", Rule: r})[0].Now <= before.Clock {
		continue // the clock has milliseconds
	}
	if at := charge(); at <= before.Clock {
		s.Fatalf("a charge at %d after one at %d", at, before.Clock)
	}
	s.restore(before, false)
	s.wantCount(time.Time{}, "k", r, 2, "the later charge stays")
	s.restore(s.dump("k"), true)
	s.wantCount(time.Time{}, "k", r, 2, "its own counts change nothing")
}

// clockMoves: the clock of a key never goes back, also not when the new home's is behind.
func clockMoves(s *subject) {
	r := per(s, 100, 3600)
	ahead := time.Now().Add(10 * time.Minute)
	elsewhere := &subject{T: s.T, Backend: newMemory(func() time.Time { return ahead })}
	elsewhere.charge(time.Time{}, "k", r, 4)
	s.restore(elsewhere.dump("k"), true)
	answer := s.take(time.Time{}, false, ratelimit.Item{Key: "k", Rule: r, N: 1})[0]
	if answer.Main != 4 || answer.Now < ahead.UnixMilli() {
		s.Errorf("the next charge has %+v, want a count of 4 and a time of at least %d", answer, ahead.UnixMilli())
	}
}

// adjustmentsMove: one that was made at the old home is not made again at the new one.
func adjustmentsMove(s *subject) {
	r := per(s, 100, 3600)
	elsewhere := &subject{T: s.T, Backend: newMemory(nil)}
	elsewhere.charge(noon, "k", r, 10)
	elsewhere.adjust(noon, "there", "k", r, noon, -2)
	elsewhere.charge(noon, "k2", r, 1)
	s.charge(noon, "k", r, 1)
	s.adjust(noon, "here", "k", r, noon, 5)
	s.restore(elsewhere.dump("k"), true)
	s.restore(elsewhere.dump("k2"), true)
	for _, id := range []string{"there", "here"} {
		s.adjust(after(time.Second), id, "k", r, noon, -3)
	}
	s.wantCount(after(time.Second), "k", r, 8, "both ids are known")
	s.adjust(after(time.Second), "new", "k", r, noon, -3)
	s.adjust(after(time.Second), "there", "k2", r, noon, 3)
	s.wantCount(after(time.Second), "k", r, 5, "another id is not")
	s.wantCount(after(time.Second), "k2", r, 4, "nor the id of another key")
	var ids []string
	for _, a := range s.dump("k").Within(after(time.Second).UnixMilli()).Adjusted {
		ids = append(ids, a.ID)
	}
	if !slices.Equal(ids, []string{"here", "new", "there"}) {
		s.Errorf("the adjustments are %q", ids)
	}
}

// listKeys: every key once at least, whatever is in its name.
func listKeys(s *subject) {
	lister, ok := s.Backend.(ratelimit.Lister)
	if !ok {
		s.Skip("the backend cannot list its keys")
	}
	r := per(s, 100, 3600)
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprintf("platform:a:user:%d", i))
	}
	want = append(want, "a{b}c", "*?[x]", "ä", "platform:b:{}", "id:{x}")
	for _, key := range want {
		s.charge(noon, key, r, 1)
	}
	s.adjust(noon, "id", "only adjusted", r, noon, -1)
	want = append(want, "only adjusted")
	var got []string
	cursor, pages := "", 0
	for {
		keys, next, err := lister.Keys(context.Background(), cursor, 20)
		if err != nil {
			s.Fatal(err)
		}
		got, cursor, pages = append(got, keys...), next, pages+1
		if next == "" {
			break
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		s.Errorf("%d keys are listed, want %d", len(got), len(want))
	}
	if pages < 5 {
		s.Errorf("they came in %d pages", pages)
	}
}
