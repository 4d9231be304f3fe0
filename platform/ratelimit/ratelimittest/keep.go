package ratelimittest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

func resetExact(s *subject) {
	r := per(s, 10, 60)
	for _, key := range []string{"a", "a:b", "ab", "A", "a b"} {
		s.charge(noon, key, r, 7)
	}
	for range 2 {
		if err := s.Reset(context.Background(), "a"); err != nil {
			s.Fatal(err)
		}
	}
	s.wantCount(noon, "a", r, 0, "it was reset")
	for _, key := range []string{"a:b", "ab", "A", "a b"} {
		s.wantCount(noon, key, r, 7, "another key was reset")
	}
	if !s.charge(noon, "a", r, 1) {
		s.Error("a charge after the reset was rejected")
	}
	s.wantCount(noon, "a", r, 1, "counting begins again")
}

func (s *subject) sweep(now time.Time) int {
	s.Helper()
	freed, err := s.Sweep(context.Background(), now)
	if err != nil {
		s.Fatalf("Sweep: %v", err)
	}
	return freed
}

func sweepSafe(s *subject) {
	r := rule(s, ratelimit.Config{Limit: 1e6, Period: 60, DailyLimit: pointer(1e6)})
	var o = oracle{}
	for i := range 60 {
		now := after(time.Duration(i) * 37 * time.Minute)
		o.increment("k", now.UnixMilli(), r.Config, 1)
		s.charge(now, "k", r, 1)
		s.sweep(now)
		_, _, _, want := o.windows("k", now.UnixMilli(), r.Config)
		if got := s.take(now, true, ratelimit.Item{Key: "k", Rule: r})[0].Daily; got != want {
			s.Fatalf("after sweep %d the daily count is %v, want %v", i, got, want)
		}
	}
}

func sweepFrees(s *subject, f Features) {
	r := per(s, 1e6, 60)
	for i := range 20 {
		s.charge(noon, fmt.Sprint("idle", i), r, 1)
	}
	for at := time.Duration(0); at < 30*time.Minute; at += 5 * time.Second {
		s.charge(after(at), "busy", r, 1)
	}
	s.adjust(noon, "id", "idle0", r, noon, 1)
	// Three hundred hours later everything is beyond the horizon of 48 hours, also at the coarsest level.
	late := after(300 * time.Hour)
	s.charge(late, "busy", r, 1)
	freed := 0
	for n := s.sweep(late); n > 0; n = s.sweep(late) {
		freed += n
	}
	s.wantCount(late, "busy", r, 1, "what is in the window stays")
	if f.Rows == nil {
		return
	}
	if freed < 60 {
		s.Errorf("sweeping freed %d rows, want those of 20 idle keys and one busy one", freed)
	}
	if rows := f.Rows(s.Backend); rows > 4 {
		s.Errorf("%d rows are left, want the head and three cells of one key", rows)
	}
}

// fill gives a key so many buckets, one after the other from noon on, as if each had been charged 1.
func fill(t testing.TB, b ratelimit.Backend, key string, r ratelimit.Rule, buckets int) {
	t.Helper()
	m := newMemory(nil)
	for i := range buckets {
		now := after(time.Duration(int64(i)*r.Size) * time.Millisecond)
		if _, err := m.Take(context.Background(), now, []ratelimit.Item{{Key: key, Rule: r, N: 1}}, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := move(context.Background(), m, b, key); err != nil {
		t.Fatal(err)
	}
}

// cost compares what a check of a full key touches with one of an empty key, and holds both against what the port says they store.
func cost(s *subject, f Features) {
	if f.Touched == nil {
		s.Skip("the backend does not count its work")
	}
	r := rule(s, ratelimit.Config{Limit: 1e6, Period: 86400, Burst: 1e6, DailyLimit: pointer(1e6)})
	touched := func(key string, now time.Time) int64 {
		before := f.Touched(s.Backend)
		s.charge(now, key, r, 1)
		return f.Touched(s.Backend) - before
	}
	const buckets = 8640
	now := after(buckets * 10 * time.Second)
	empty := touched("empty", now)
	fill(s, s.Backend, "full", r, buckets)
	s.charge(now.Add(-10*time.Second), "full", r, 1) // the key was in use before
	full := touched("full", now)
	s.wantCount(now, "full", r, buckets+2, "the day is full")
	if empty == 0 || full > 2*empty || full > 40 {
		s.Errorf("a check touched %d cells of a key with %d buckets and %d of an empty one, want at most twice as many and 40", full, buckets, empty)
	}
	if f.Bytes == nil {
		return
	}
	if one, day := f.Bytes(s.Backend, "empty"), f.Bytes(s.Backend, "full"); one <= 0 || one > 300 || day > 120_000 {
		s.Errorf("a key takes %d bytes after one charge and %d with %d buckets, want at most 300 and 120,000", one, day, buckets)
	}
}
