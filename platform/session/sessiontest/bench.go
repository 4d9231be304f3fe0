package sessiontest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/platform/session"
)

// Bench measures a driver and the store over it, with states of about 1 KB. Sub-benchmarks:
//
//	Commit     the driver alone: one commit after the other, with a full ring
//	One        Apply of one mutation after the other
//	Hot        64 callers, one mutation a call, one session
//	Sessions   64 callers, one mutation a call, 1,000 sessions in turns
//	Batch      Apply of 500 mutations a call, one session
//	Large      Apply of one small mutation beside a conversation of 1 MB
//
// All but Commit report mutations/s, and Hot how many of them a commit took. Those who want a ratio run a raw
// conditional write of the same size beside them.
func Bench(b *testing.B, fresh func(t testing.TB) func() session.Driver) {
	b.Run("Commit", func(b *testing.B) { benchCommit(b, fresh(b)()) })
	b.Run("One", func(b *testing.B) {
		s := benchStore(b, fresh(b)(), "s")
		n := 0
		for b.Loop() {
			n++
			benchApply(b, s, "s", benchMerge("m", n))
		}
		rate(b, n)
	})
	b.Run("Hot", func(b *testing.B) {
		d := &counted{Driver: fresh(b)()}
		s := benchStore(b, d, "s")
		d.commits.Store(0)
		benchCallers(b, s, func(int64) string { return "s" })
		b.ReportMetric(float64(b.N)/float64(d.commits.Load()), "mutations/commit")
	})
	b.Run("Sessions", func(b *testing.B) {
		ids := make([]string, 1000)
		for i := range ids {
			ids[i] = fmt.Sprint("session-", i)
		}
		s := benchStore(b, fresh(b)(), ids...)
		benchCallers(b, s, func(n int64) string { return ids[n%int64(len(ids))] })
	})
	b.Run("Batch", func(b *testing.B) {
		s := benchStore(b, fresh(b)(), "s")
		n := 0
		for b.Loop() {
			ms := make([]session.Mutation, session.MaxBatch)
			for i := range ms {
				n++
				ms[i] = benchMerge("m", n)
			}
			benchApply(b, s, "s", ms...)
		}
		rate(b, n)
	})
	b.Run("Large", func(b *testing.B) {
		s := benchStore(b, fresh(b)(), "s")
		benchApply(b, s, "s", session.Mutation{ID: "large", Kind: session.Put, Part: session.PartFullConversations, Payload: []byte("[" + text(1, 1<<20) + "]")})
		n := 0
		for b.Loop() {
			n++
			benchApply(b, s, "s", benchMerge("m", n))
		}
		rate(b, n)
	})
}

// BenchState is the state of the sessions that Bench works on.
func BenchState() []byte {
	var b strings.Builder
	b.WriteString(`{"n":0`)
	for i := range 20 {
		fmt.Fprintf(&b, `,"field%d":"%s"`, i, strings.Repeat("x", 32))
	}
	b.WriteByte('}')
	return []byte(b.String())
}

// BenchRecord is a record as Bench commits them: BenchState and a full ring. Its Commit is 1.
func BenchRecord(id string) *session.Record {
	r := beginning(id, texts{session.PartState: string(BenchState())})
	r.Ring = benchRing()
	return r
}

func benchRing() session.Ring {
	list := entries(session.RingSize)
	for i := range list {
		list[i].Ref, list[i].Reason, list[i].Replay = "", "", 0
	}
	return session.NewRing(list)
}

func benchMerge(prefix string, n int) session.Mutation {
	return session.Mutation{ID: fmt.Sprint(prefix, n), Kind: session.Merge, Payload: []byte(fmt.Sprintf(`{"n":%d}`, n))}
}

// benchStore is a store with sessions whose rings are full, as those of sessions in use are.
func benchStore(b *testing.B, d session.Driver, ids ...string) *session.Store {
	b.Helper()
	var group sync.WaitGroup
	work := make(chan string)
	for range 16 {
		group.Go(func() {
			for id := range work {
				if _, err := d.Commit(b.Context(), BenchRecord(id)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, id := range ids {
		work <- id
	}
	close(work)
	group.Wait()
	s := session.NewStore(d, session.Options{})
	for _, id := range ids {
		if _, err := s.Get(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func benchApply(b *testing.B, s *session.Store, id string, ms ...session.Mutation) {
	outcomes, err := s.Apply(b.Context(), id, ms)
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Err != nil {
			b.Fatal(o.Err)
		}
	}
}

func benchCommit(b *testing.B, d session.Driver) {
	r, err := d.Commit(b.Context(), BenchRecord("s"))
	if err != nil {
		b.Fatal(err)
	}
	state := string(BenchState())
	for b.Loop() {
		if r, err = d.Commit(b.Context(), after(r, texts{session.PartState: state})); err != nil {
			b.Fatal(err)
		}
	}
}

func benchCallers(b *testing.B, s *session.Store, id func(n int64) string) {
	const callers = 64
	var next atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	for range callers {
		group.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				outcomes, err := s.Apply(context.WithoutCancel(b.Context()), id(n), []session.Mutation{benchMerge("m", int(n))})
				if err == nil {
					err = outcomes[0].Err
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	rate(b, b.N)
}

func rate(b *testing.B, mutations int) {
	b.ReportMetric(float64(mutations)/max(b.Elapsed(), time.Nanosecond).Seconds(), "mutations/s")
}
