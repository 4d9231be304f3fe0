package statewriter_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
	"vibesdk-gcp/schemas/gen"
	"vibesdk-gcp/workers/statewriter"
	"vibesdk-gcp/workers/workertest"
)

// BenchmarkPublishToWatch measures the whole way of a mutation: published, applied, and seen by a watcher of the session.
//
//	hot       8 publishers, 100 mutations a call, one session
//	sessions  8 publishers, 100 mutations a call, 1,000 sessions in turn
//	lone      one mutation at a time
//
// Messages are in the database named, sessions too, but for firestore: its sessions are in the emulator, its messages in SQLite.
//
// hot and sessions report mutations/s, until all are applied, and the time from the publisher's clock until a watcher has the
// record that holds the mutation, which under load is mostly waiting; lone reports the latency of an idle system.
func BenchmarkPublishToWatch(b *testing.B) {
	for _, backend := range []string{"sqlite", "postgres", "firestore"} {
		b.Run(backend, func(b *testing.B) {
			b.Run("hot", func(b *testing.B) { load(b, backend, 1) })
			if backend != "firestore" { // its emulator takes minutes to begin as many watches
				b.Run("sessions", func(b *testing.B) { load(b, backend, 1000) })
			}
			b.Run("lone", func(b *testing.B) { lone(b, backend) })
		})
	}
}

func newBench(b *testing.B, backend string) (*workertest.Sessions, context.Context) {
	b.Helper()
	address := ""
	if backend == "postgres" {
		address = testenv.Postgres(b)
	}
	s := workertest.NewSessions(b, address, nil, session.Options{})
	if backend == "firestore" {
		endpoint, project := testenv.Firestore(b)
		driver, err := firestoresession.New(b.Context(), firestoresession.Options{Endpoint: endpoint, Project: project})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = driver.Close() })
		s.Store = session.NewStore(driver, session.Options{Logger: slog.New(slog.DiscardHandler)})
	}
	w := &world{Sessions: s, Writer: statewriter.New(statewriter.Options{Store: s.Store})}
	w.consume(b)
	return s, b.Context()
}

func merge(sessionID string, n int) events.Message {
	return message(&gen.StateMutation{
		MutationId: fmt.Sprint("m", n), SessionId: sessionID, Kind: gen.StateMutation_MERGE, Payload: fmt.Sprintf(`{"phase":"building","n":%d}`, n),
	})
}

func load(b *testing.B, backend string, sessions int) {
	const call, callers = 100, 8
	s, ctx := newBench(b, backend)
	id := func(n int) string { return fmt.Sprint("s", n%sessions) }
	total := max(b.N, sessions, call)
	published := make([]time.Time, total) // by mutation, set before it is published
	number := make(map[uint64]int, total) // of a mutation, by what rings remember of its id
	for n := range total {
		sum := sha256.Sum256(fmt.Append(nil, "m", n))
		number[binary.BigEndian.Uint64(sum[:])] = n
	}

	var watchers sync.WaitGroup
	ages := make([][]time.Duration, sessions)
	for i := range sessions {
		want := int64((total - i + sessions - 1) / sessions)
		watchers.Go(func() {
			seen := int64(0)
			for rec, err := range s.Store.Watch(ctx, id(i), 0) {
				if err != nil {
					b.Error(err)
					return
				}
				now := time.Now()
				for _, e := range rec.Ring.Entries() {
					if e.Version > seen {
						ages[i] = append(ages[i], now.Sub(published[number[e.Hash]]))
					}
				}
				if seen = rec.Version; seen == want {
					return
				}
			}
		})
	}
	b.ResetTimer()
	start := time.Now()
	var next sync.Mutex
	first := 0
	var publishers sync.WaitGroup
	for range callers {
		publishers.Go(func() {
			for {
				next.Lock()
				from := first
				first += call
				next.Unlock()
				if from >= total {
					return
				}
				msgs, now := make([]events.Message, 0, call), time.Now()
				for n := from; n < min(from+call, total); n++ {
					msgs, published[n] = append(msgs, merge(id(n), n)), now
				}
				if err := s.Bus.Publish(ctx, events.StateMutations, msgs...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	publishers.Wait()
	watchers.Wait()
	took := time.Since(start)
	b.StopTimer()
	b.ReportMetric(float64(total)/took.Seconds(), "mutations/s")
	quantiles(b, slices.Concat(ages...))
}

func lone(b *testing.B, backend string) {
	s, ctx := newBench(b, backend)
	seen := make(chan int64)
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for rec, err := range s.Store.Watch(watching, "s", 0) {
			if err != nil {
				b.Error(err)
				return
			}
			select {
			case seen <- rec.Version:
			case <-watching.Done():
			}
		}
	})
	var ages []time.Duration
	for n := 0; b.Loop(); n++ {
		start := time.Now()
		if err := s.Bus.Publish(ctx, events.StateMutations, merge("s", n)); err != nil {
			b.Fatal(err)
		}
		for version := range seen {
			if version == int64(n+1) {
				break
			}
		}
		ages = append(ages, time.Since(start))
	}
	stop()
	watcher.Wait()
	quantiles(b, ages)
}

func quantiles(b *testing.B, ages []time.Duration) {
	slices.Sort(ages)
	b.ReportMetric(ages[len(ages)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(ages[len(ages)*99/100].Seconds()*1e3, "p99-ms")
}
