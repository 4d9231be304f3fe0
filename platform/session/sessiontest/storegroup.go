package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"vibesdk-gcp/platform/session"
)

// counted counts the commits of a driver and lets a case look into each before it happens.
type counted struct {
	session.Driver
	commits atomic.Int64
	before  func(ctx context.Context, n int64)
}

func (c *counted) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	n := c.commits.Add(1)
	if c.before != nil {
		c.before(ctx, n)
	}
	return c.Driver.Commit(ctx, next)
}

// waitingContext tells when somebody begins to wait for its end, which Apply does once its mutations are queued.
type waitingContext struct {
	context.Context
	once    *sync.Once
	waiting func()
}

func whenWaiting(ctx context.Context, waiting func()) context.Context {
	return waitingContext{ctx, new(sync.Once), waiting}
}

func (c waitingContext) Done() <-chan struct{} {
	c.once.Do(c.waiting)
	return c.Context.Done()
}

func callersShareCommits(w *world) {
	const callers = 300
	var queued sync.WaitGroup
	queued.Add(callers)
	d := &counted{Driver: w.open(), before: func(_ context.Context, n int64) {
		if n == 1 {
			queued.Wait()
		}
	}}
	s := w.store(d)
	var group sync.WaitGroup
	versions := make([]int64, callers)
	for i := range callers {
		group.Go(func() {
			ctx := whenWaiting(w.Context(), queued.Done)
			outcomes, err := s.Apply(ctx, "s", []session.Mutation{line(fmt.Sprint(i))})
			if err != nil || outcomes[0].Err != nil {
				w.Errorf("apply: %+v, %v", outcomes, err)
				return
			}
			versions[i] = outcomes[0].Version
		})
	}
	group.Wait()
	if n := d.commits.Load(); n > 2 {
		w.Errorf("%d mutations, all but the first waiting at once, took %d commits", callers, n)
	}
	got := w.lines(s, "s")
	if len(got) != callers {
		w.Fatalf("%d lines of %d callers", len(got), callers)
	}
	for i, version := range versions {
		if version < 1 || version > callers || got[version-1] != fmt.Sprint(i) {
			w.Errorf("mutation %d has version %d, which is another's", i, version)
		}
	}
}

func longSlicesKeepTheirOrder(w *world) {
	d := &counted{Driver: w.open()}
	s := w.store(d)
	ms := make([]session.Mutation, 2*session.MaxBatch+200)
	want := make([]string, len(ms))
	for i := range ms {
		ms[i] = line(fmt.Sprint(i))
		want[i] = fmt.Sprint(i)
	}
	for i, o := range w.apply(s, "s", ms...) {
		if o.Err != nil || o.Version != int64(i+1) {
			w.Fatalf("outcome %d is %+v", i, o)
		}
	}
	if !slices.Equal(w.lines(s, "s"), want) {
		w.Error("the mutations were applied out of order")
	}
	if n := d.commits.Load(); n != 3 {
		w.Errorf("%d mutations took %d commits", len(ms), n)
	}
}

// leavingCallersHarmNobody: of the callers in one batch the first leaves while the batch is committed, and another
// before it is.
func leavingCallersHarmNobody(w *world) {
	var queued, gone sync.WaitGroup
	queued.Add(4)
	gone.Add(2)
	firstCtx, firstLeaves := context.WithCancel(w.Context())
	lateCtx, lateLeaves := context.WithCancel(w.Context())
	begun, left := make(chan struct{}), make(chan struct{})
	d := &counted{Driver: w.open(), before: func(ctx context.Context, n int64) {
		switch n {
		case 1: // of the mutation that makes the others queue
			close(begun)
			queued.Wait()
			lateLeaves()
			<-left
		case 2:
			firstLeaves()
			gone.Wait()
			if ctx.Err() != nil {
				w.Error("a commit was cancelled although others wait for it")
			}
		}
	}}
	s := w.store(d)
	var group sync.WaitGroup
	call := func(ctx context.Context, id string, want error, after func()) {
		ready := make(chan struct{})
		group.Go(func() {
			defer after()
			_, err := s.Apply(whenWaiting(ctx, func() { queued.Done(); close(ready) }), "s", []session.Mutation{line(id)})
			if !errors.Is(err, want) {
				w.Errorf("%s got %v, want %v", id, err, want)
			}
		})
		<-ready
	}
	call(w.Context(), "begins", nil, func() {})
	<-begun
	call(firstCtx, "first", context.Canceled, gone.Done)
	call(w.Context(), "stays", nil, func() {})
	call(lateCtx, "late", context.Canceled, func() { close(left); gone.Done() })
	group.Wait()
	if got := w.lines(s, "s"); !slices.Equal(got, []string{"begins", "first", "stays"}) {
		w.Errorf("applied were %v; a mutation that was not begun must not be, the others must", got)
	}
	if n := d.commits.Load(); n != 2 {
		w.Errorf("%d commits", n)
	}
}

// abandonedCommitsEnd: when nobody waits any more the driver's call is cancelled.
func abandonedCommitsEnd(w *world) {
	ctx, leave := context.WithCancel(w.Context())
	ended := make(chan struct{})
	d := &counted{Driver: w.open(), before: func(ctx context.Context, n int64) {
		if n == 1 {
			leave()
			<-ctx.Done()
			close(ended)
		}
	}}
	s := w.store(d)
	if _, err := s.Apply(ctx, "s", []session.Mutation{line("a"), line("b")}); !errors.Is(err, context.Canceled) {
		w.Errorf("an abandoned call returned %v", err)
	}
	<-ended
	// The same ids again, and others.
	w.apply(s, "s", line("a"), line("b"), line("c"))
	if got := w.lines(s, "s"); !slices.Equal(got, []string{"a", "b", "c"}) {
		w.Errorf("applied were %v", got)
	}
}
