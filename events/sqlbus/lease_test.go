package sqlbus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
)

var (
	plain   = events.Subscription{Name: "plain", Topic: events.Topic{Name: "plain", Type: "t"}, Attempts: 5, Concurrency: 4, MaxBatch: 3, MaxOutstanding: 100}
	ordered = events.Subscription{
		Name: "ordered", Topic: events.Topic{Name: "ordered", Type: "t", Ordered: true}, Attempts: 5, Concurrency: 4, MaxBatch: 3, MaxOutstanding: 100,
	}
)

// each runs a test on both databases. start opens a driver of another process.
func each(t *testing.T, lease time.Duration, test func(t *testing.T, address string, start func() *sqlbus.Driver)) {
	t.Helper()
	run := func(t *testing.T, address string) {
		test(t, address, func() *sqlbus.Driver {
			t.Helper()
			d, err := sqlbus.New(context.Background(), open(t, address), sqlbus.Options{
				Subscriptions: []events.Subscription{plain, ordered}, Lease: lease, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatalf("New: %v", err)
			}
			t.Cleanup(func() {
				if err := d.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			return d
		})
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		run(t, "sqlite:"+filepath.Join(t.TempDir(), "bus.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		run(t, testenv.Postgres(t))
	})
}

func publish(t *testing.T, d *sqlbus.Driver, topic events.Topic, msgs ...events.Message) {
	t.Helper()
	if err := d.Publish(context.Background(), topic, msgs); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

// receive runs Receive until the test ends or the returned function is called.
func receive(t *testing.T, d *sqlbus.Driver, sub events.Subscription, handle events.HandleFunc) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Receive(ctx, sub, handle); err != nil {
			t.Errorf("Receive: %v", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case got := <-c:
		return got
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not seen in 30s", what)
		panic("unreachable")
	}
}

func done(run []events.Message) []events.Verdict {
	verdicts := make([]events.Verdict, len(run))
	for i := range verdicts {
		verdicts[i].Done = true
	}
	return verdicts
}

// TestLostLease takes a process for dead while its handler runs: another process gets the message with one attempt
// more, and what the first says in the end changes nothing.
func TestLostLease(t *testing.T) {
	t.Parallel()
	for _, sub := range []events.Subscription{plain, ordered} {
		t.Run(sub.Name, func(t *testing.T) {
			each(t, time.Minute, func(t *testing.T, address string, start func() *sqlbus.Driver) {
				first := start()
				m := events.Message{ID: "m"}
				if sub.Topic.Ordered {
					m.Key = "k"
				}
				started, release := make(chan int, 1), make(chan struct{})
				alone := sub
				alone.Concurrency = 1 // busy, it does not take the message back itself
				stopFirst := receive(t, first, alone, func(run []events.Message) []events.Verdict {
					started <- run[0].Attempt
					<-release
					return done(run)
				})
				letFirst := sync.OnceFunc(func() { close(release) })
				t.Cleanup(letFirst) // also when the test fails: Receive waits for its handlers
				publish(t, first, sub.Topic, m)
				if got := await(t, "the first delivery", started); got != 1 {
					t.Errorf("first attempt is %d, want 1", got)
				}

				db := open(t, address)
				for _, statement := range []string{ // what a reaper does
					"UPDATE bus_lanes SET owner = 0, attempts = attempts + 1 WHERE owner <> 0", "DELETE FROM bus_owners",
				} {
					if _, err := db.W.Exec(statement); err != nil {
						t.Fatal(err)
					}
				}
				again, releaseAgain := make(chan int, 1), make(chan struct{})
				stopSecond := receive(t, start(), sub, func(run []events.Message) []events.Verdict {
					again <- run[0].Attempt
					<-releaseAgain
					return nil // comes again
				})
				letSecond := sync.OnceFunc(func() { close(releaseAgain) })
				t.Cleanup(letSecond)
				if got := await(t, "the second delivery", again); got != 2 {
					t.Errorf("attempt after the lost lease is %d, want 2", got)
				}
				letFirst()
				stopFirst() // has settled by now
				if got := pendingIDs(t, db); !cmp.Equal(got, []string{"m"}) {
					t.Errorf("the late settlement left %v, want the message untouched", got)
				}
				letSecond()
				stopSecond()

				third := make(chan int, 1)
				receive(t, start(), sub, func(run []events.Message) []events.Verdict {
					third <- run[0].Attempt
					return done(run)
				})
				if got := await(t, "the third delivery", third); got != 2 {
					t.Errorf("attempt after an uncounted one is %d, want 2", got)
				}
			})
		})
	}
}

// TestDeadOwner leaves an owner behind whose beat stands still.
func TestDeadOwner(t *testing.T) {
	t.Parallel()
	each(t, 300*time.Millisecond, func(t *testing.T, address string, start func() *sqlbus.Driver) {
		publish(t, start(), plain.Topic, events.Message{ID: "m"})
		db := open(t, address)
		for _, statement := range []string{
			"INSERT INTO bus_owners (id, process, beat) VALUES (7, '', 1)", "UPDATE bus_lanes SET owner = 7",
		} {
			if _, err := db.W.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		attempts := make(chan int, 1)
		receive(t, start(), plain, func(run []events.Message) []events.Verdict {
			attempts <- run[0].Attempt
			return done(run)
		})
		if got := await(t, "the delivery", attempts); got != 2 {
			t.Errorf("attempt is %d, want 2: the crash counts", got)
		}
	})
}

// TestLeaseIsKeptByALongHandler runs a handler for several leases.
func TestLeaseIsKeptByALongHandler(t *testing.T) {
	t.Parallel()
	each(t, 600*time.Millisecond, func(t *testing.T, _ string, start func() *sqlbus.Driver) {
		deliveries := make(chan int, 10)
		handle := func(run []events.Message) []events.Verdict {
			deliveries <- run[0].Attempt
			time.Sleep(2 * time.Second) // the work itself: it must outlast the lease
			return done(run)
		}
		a := start()
		stopA, stopB := receive(t, a, plain, handle), receive(t, start(), plain, handle)
		publish(t, a, plain.Topic, events.Message{ID: "m"})
		await(t, "the delivery", deliveries)
		stopA()
		stopB()
		if len(deliveries) > 0 {
			t.Errorf("delivered again, attempt %d, while the handler ran", <-deliveries)
		}
	})
}

// TestRestartOnSQLiteIsInstant has a process die with a lease of an hour.
func TestRestartOnSQLiteIsInstant(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bus.db")
	db := open(t, "sqlite:"+path)
	start := func() *sqlbus.Driver {
		d, err := sqlbus.New(context.Background(), db, sqlbus.Options{
			Subscriptions: []events.Subscription{plain}, Lease: time.Hour, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := start()
	publish(t, first, plain.Topic, events.Message{ID: "m"})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// As kill -9 leaves it: the lane owned, the lock file there, nobody holding it.
	for _, statement := range []string{
		"INSERT INTO bus_owners (id, process, beat) VALUES (7, 'dead', 1)", "UPDATE bus_lanes SET owner = 7",
	} {
		if _, err := db.W.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(path+"-owners", "dead"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second := start()
	t.Cleanup(func() { _ = second.Close() })
	attempts := make(chan int, 1)
	receive(t, second, plain, func(run []events.Message) []events.Verdict {
		attempts <- run[0].Attempt
		return done(run)
	})
	if got := await(t, "the delivery", attempts); got != 2 {
		t.Errorf("attempt is %d, want 2", got)
	}
}

func TestFailedRunsAreTriedOneByOne(t *testing.T) {
	t.Parallel()
	each(t, time.Minute, func(t *testing.T, _ string, start func() *sqlbus.Driver) {
		d := start()
		var msgs []events.Message
		for n := range 5 {
			msgs = append(msgs, events.Message{ID: fmt.Sprint(n), Key: "k"})
		}
		publish(t, d, ordered.Topic, msgs...)
		runs := make(chan []string, 10)
		receive(t, d, ordered, func(run []events.Message) []events.Verdict {
			var ids []string
			for _, m := range run {
				ids = append(ids, fmt.Sprintf("%s@%d", m.ID, m.Attempt))
			}
			runs <- ids
			if len(ids) == 3 && run[0].ID == "0" {
				return []events.Verdict{{Failed: true}}
			}
			return done(run)
		})
		for _, want := range [][]string{{"0@1", "1@1", "2@1"}, {"0@2"}, {"1@1", "2@1", "3@1"}, {"4@1"}} {
			if diff := cmp.Diff(want, await(t, "a run", runs)); diff != "" {
				t.Errorf("run (-want +got):\n%s", diff)
			}
		}
	})
}

func TestPublishIsOneTransaction(t *testing.T) {
	t.Parallel()
	each(t, time.Minute, func(t *testing.T, address string, start func() *sqlbus.Driver) {
		d := start()
		db := open(t, address)
		var many []events.Message
		for n := range 300 {
			many = append(many, events.Message{ID: fmt.Sprint(n), Key: fmt.Sprint(n % 7)})
		}
		publish(t, d, ordered.Topic, many...)
		if got := len(pendingIDs(t, db)); got != 300 {
			t.Fatalf("%d messages are stored, want 300", got)
		}
		broken := append(slices.Clone(many[:100]), events.Message{ID: "no text \xff\x00", Key: "k"})
		if err := d.Publish(context.Background(), ordered.Topic, broken); db.Dialect == sqldb.Postgres && err == nil {
			t.Error("Postgres stored text that is none")
		} else if got := len(pendingIDs(t, db)); err != nil && got != 300 {
			t.Errorf("a failed publication left %d messages more", got-300)
		}
		publish(t, d, ordered.Topic, events.Message{ID: "after", Key: "k"})
	})
}

// TestPublicationsNextToABrokenOneAreAccepted puts one that the database refuses among others of its turn.
func TestPublicationsNextToABrokenOneAreAccepted(t *testing.T) {
	t.Parallel()
	address := testenv.Postgres(t)
	d, err := sqlbus.New(context.Background(), open(t, address), sqlbus.Options{
		Subscriptions: []events.Subscription{plain}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			m := events.Message{ID: fmt.Sprint(n)}
			if n == 25 {
				m.Type = "\xff"
			}
			if err := d.Publish(context.Background(), plain.Topic, []events.Message{m}); (err != nil) != (n == 25) {
				t.Errorf("publication %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	if got := len(pendingIDs(t, open(t, address))); got != 49 {
		t.Errorf("%d messages are stored, want 49", got)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	each(t, time.Minute, func(t *testing.T, _ string, start func() *sqlbus.Driver) {
		d := start()
		publish(t, d, plain.Topic, events.Message{ID: "later", NotBefore: time.Now().Add(time.Hour)}, events.Message{ID: "now"})
		publish(t, d, ordered.Topic, events.Message{ID: "a", Key: "k"}, events.Message{ID: "b", Key: "k"}, events.Message{ID: "c", Key: "l"})
		busy, release := make(chan struct{}), make(chan struct{})
		stop := receive(t, d, plain, func(run []events.Message) []events.Verdict {
			close(busy)
			<-release
			return done(run)
		})
		await(t, "the handler", busy)
		got, err := d.Stats(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got {
			if s.Oldest <= 0 || s.Oldest > time.Hour {
				t.Errorf("%s: oldest is %s", s.Subscription, s.Oldest)
			}
		}
		want := []sqlbus.Stat{
			{Subscription: "ordered", Topic: "ordered", Ready: 3},
			{Subscription: "plain", Topic: "plain", Delayed: 1, Leased: 1},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(sqlbus.Stat{}, "Oldest")); diff != "" {
			t.Errorf("stats (-want +got):\n%s", diff)
		}
		close(release)
		stop()
		if got, err = d.Stats(context.Background()); err != nil || got[1].Delayed != 1 || got[1].Leased != 0 {
			t.Errorf("after the handler: %+v, %v", got, err)
		}
	})
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	each(t, time.Minute, func(t *testing.T, address string, start func() *sqlbus.Driver) {
		d := start()
		handled := make(chan struct{}, 100)
		handle := func(run []events.Message) []events.Verdict {
			for range run {
				handled <- struct{}{}
			}
			return done(run)
		}
		stopPlain, stopOrdered := receive(t, d, plain, handle), receive(t, d, ordered, handle)
		for n := range 20 {
			publish(t, d, plain.Topic, events.Message{ID: fmt.Sprint("p", n)})
			publish(t, d, ordered.Topic, events.Message{ID: fmt.Sprint("o", n), Key: fmt.Sprint("k", n%3)})
		}
		for range 40 {
			await(t, "a delivery", handled)
		}
		stopPlain()
		stopOrdered()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		db := open(t, address)
		for _, table := range []string{"bus_messages", "bus_lanes", "bus_owners"} {
			var rows int
			if err := db.R.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&rows); err != nil || rows != 0 {
				t.Errorf("%s has %d rows, %v, want none", table, rows, err)
			}
		}
		if path := db.Path(); path != "" {
			if files, err := os.ReadDir(path + "-owners"); err != nil || len(files) > 0 {
				t.Errorf("lock files left: %v, %v", files, err)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "bus.db"))
	known, err := sqlbus.New(context.Background(), db, sqlbus.Options{Subscriptions: []events.Subscription{plain}})
	if err != nil {
		t.Fatal(err)
	}
	if err := known.Close(); err != nil {
		t.Fatal(err)
	}
	elsewhere := plain
	elsewhere.Topic.Name = "elsewhere"
	for name, o := range map[string]sqlbus.Options{
		"lease too short":           {Lease: time.Millisecond},
		"subscription twice":        {Subscriptions: []events.Subscription{ordered, ordered}},
		"subscription moved topics": {Subscriptions: []events.Subscription{elsewhere}},
	} {
		if d, err := sqlbus.New(context.Background(), db, o); err == nil {
			t.Errorf("%s: accepted", name)
			_ = d.Close()
		}
	}
	d, err := sqlbus.New(context.Background(), db, sqlbus.Options{Subscriptions: []events.Subscription{ordered}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Receive(context.Background(), plain, done); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("Receive of an unknown subscription: got %v, want ErrInvalid", err)
	}
	if err := d.Publish(context.Background(), plain.Topic, []events.Message{{ID: "x"}}); err != nil {
		t.Errorf("Publish to a topic without subscriptions: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Publish(context.Background(), ordered.Topic, []events.Message{{ID: "x", Key: "k"}}); !errors.Is(err, events.ErrClosed) {
		t.Errorf("Publish after Close: got %v, want ErrClosed", err)
	}
	if err := d.Receive(context.Background(), ordered, done); !errors.Is(err, events.ErrClosed) {
		t.Errorf("Receive after Close: got %v, want ErrClosed", err)
	}
}

// pendingIDs lists the stored messages in order of publication.
func pendingIDs(t *testing.T, db *sqldb.DB) []string {
	t.Helper()
	rows, err := db.R.Query("SELECT id FROM bus_messages ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}
