package ratelimittest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// Clients is how many clients charge at once.
const Clients = 64

// together runs one function for each client at once and waits for all.
func together(run func(client int)) {
	var wg sync.WaitGroup
	for c := range Clients {
		wg.Go(func() { run(c) })
	}
	wg.Wait()
}

// admitted counts the charges that are admitted when every client makes some at about the same time.
func (s *subject) admitted(each int, key func(client, i int) string, r ratelimit.Rule, n float64) (total int) {
	var count atomic.Int64
	together(func(client int) {
		for i := range each {
			now := after(time.Duration((client+i)%3) * time.Second)
			answers, err := s.Take(context.Background(), now, []ratelimit.Item{{Key: key(client, i), Rule: r, N: n}}, false)
			if err != nil {
				s.Errorf("Take: %v", err)
				return
			}
			if answers[0].Exceeded == "" {
				count.Add(1)
			}
		}
	})
	return int(count.Load())
}

func concurrentKey(s *subject) {
	r := per(s, 500, 60)
	if got := s.admitted(20, func(int, int) string { return "hot" }, r, 1); got != 500 {
		s.Errorf("%d of %d charges were admitted, want exactly 500", got, Clients*20)
	}
	s.wantCount(after(3*time.Second), "hot", r, 500, "what was admitted was counted")
}

func concurrentFractions(s *subject) {
	r := per(s, 100.1, 60)
	if got := s.admitted(10, func(int, int) string { return "hot" }, r, 0.5); got != 201 {
		s.Errorf("%d charges of 0.5 were admitted under 100.1, want exactly 201", got)
	}
}

func concurrentKeys(s *subject) {
	r := per(s, 3, 60)
	const keys = 200
	got := s.admitted(20, func(client, i int) string { return fmt.Sprint("k", (client*20+i)%keys) }, r, 1)
	if got != keys*3 {
		s.Errorf("%d charges were admitted over %d keys, want exactly %d", got, keys, keys*3)
	}
	for k := range keys {
		s.wantCount(after(3*time.Second), fmt.Sprint("k", k), r, 3, "every key has its own limit")
	}
}

func concurrentCalls(s *subject) {
	wide, narrow := per(s, 1e6, 60), per(s, 100, 60)
	var admitted atomic.Int64
	together(func(client int) {
		items := []ratelimit.Item{{Key: "a", Rule: wide, N: 1}, {Key: "b", Rule: narrow, N: 1}, {Key: "c", Rule: wide, N: 1}}
		if client%2 == 1 {
			items[0], items[2] = items[2], items[0]
		}
		for range 5 {
			answers, err := s.Take(context.Background(), noon, items, false)
			if err != nil {
				s.Errorf("Take: %v", err)
				return
			}
			if !ratelimit.Rejected(answers) {
				admitted.Add(1)
			}
		}
	})
	if admitted.Load() != 100 {
		s.Errorf("%d calls were admitted, want exactly 100", admitted.Load())
	}
	for _, key := range []string{"a", "c"} {
		s.wantCount(noon, key, wide, 100, "a call that one key rejects charges no other")
	}
}

func concurrentAdjustments(s *subject) {
	r := per(s, 1e6, 60)
	together(func(client int) {
		for i := range 5 {
			if _, err := s.Take(context.Background(), noon, []ratelimit.Item{{Key: "k", Rule: r, N: 2}}, false); err != nil {
				s.Errorf("Take: %v", err)
				return
			}
			// Each id is given twice, by neighbours.
			err := s.Adjust(context.Background(), noon, ratelimit.Adjustment{
				ID: fmt.Sprint(client/2, "-", i), Key: "k", Rule: r, Bucket: r.Bucket(noon.UnixMilli()), Delta: -1,
			})
			if err != nil {
				s.Errorf("Adjust: %v", err)
				return
			}
		}
	})
	s.wantCount(noon, "k", r, Clients*5*2-Clients/2*5, "every charge and every id counts once")
}
