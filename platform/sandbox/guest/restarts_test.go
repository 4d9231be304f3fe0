package guest

import (
	"testing"
	"time"
)

func TestRestartBudget(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	b := restartBudget{unit: time.Second}
	for i, want := range []int{1, 2, 4, 8, 16, 32} {
		delay, ok := b.next(now)
		if !ok || delay != time.Duration(want)*time.Second {
			t.Fatalf("restart %d: %s, %v; want %ds", i+1, delay, ok, want)
		}
		now = now.Add(delay)
	}
	if _, ok := b.next(now); ok {
		t.Fatal("a seventh restart within five minutes")
	}
	// Five minutes after the last restart the record is clear.
	now = now.Add(restartWindow)
	if delay, ok := b.next(now); !ok || delay != time.Second {
		t.Errorf("after stable minutes: %s, %v", delay, ok)
	}
	// A server that ends every minute never uses the budget up, nor waits ever longer.
	for range 100 {
		now = now.Add(time.Minute)
		if delay, ok := b.next(now); !ok || delay > 16*time.Second {
			t.Fatalf("one restart a minute: %s, %v", delay, ok)
		}
	}
}
