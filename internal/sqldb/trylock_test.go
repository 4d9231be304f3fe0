package sqldb_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/internal/sqldb"
)

func TestOneHoldsALock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() *sqldb.DB) {
		a, b := open(), open()
		take := func(db *sqldb.DB, name string, want bool) func() error {
			t.Helper()
			unlock, ok, err := db.TryLock(t.Context(), name)
			if err != nil || ok != want {
				t.Fatalf("lock %s: %t, %v; want %t", name, ok, err, want)
			}
			return unlock
		}
		unlock := take(a, "one", true)
		take(a, "one", false)
		take(b, "one", false)
		other := take(b, "two", true)
		for _, release := range []func() error{unlock, other} {
			if err := release(); err != nil {
				t.Fatal(err)
			}
		}
		unlock = take(b, "one", true)
		if err := unlock(); err != nil {
			t.Fatal(err)
		}
		// A context that has ended takes nothing, and leaves nothing taken.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if a.Dialect == sqldb.Postgres {
			if _, ok, err := a.TryLock(ctx, "one"); ok || err == nil {
				t.Errorf("with an ended context: %t, %v", ok, err)
			}
		}
		if err := take(b, "one", true)(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLocksExclude lets many try at once: never two hold it.
func TestLocksExclude(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() *sqldb.DB) {
		handles := []*sqldb.DB{open(), open()}
		var inside, taken atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 25 {
					unlock, ok, err := handles[i%2].TryLock(t.Context(), "hot")
					if err != nil {
						t.Error(err)
						return
					}
					if !ok {
						continue
					}
					if n := inside.Add(1); n != 1 {
						t.Errorf("%d hold the lock", n)
					}
					taken.Add(1)
					inside.Add(-1)
					if err := unlock(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if taken.Load() == 0 {
			t.Error("nobody took it")
		}
	})
}
