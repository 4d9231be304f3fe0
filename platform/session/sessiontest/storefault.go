package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"vibesdk-gcp/platform/session"
)

// errDown is what a faulty driver says.
var errDown = errors.New("the connection broke")

// faulty is a driver whose calls fail at random, before or after they had their effect.
type faulty struct {
	session.Driver
	mu     sync.Mutex
	random *rand.Rand
	faults int
}

func newFaulty(d session.Driver, seed uint64) *faulty {
	return &faulty{Driver: d, random: rand.New(rand.NewPCG(seed, 7))}
}

// roll decides about one call: fail before it, fail after it, and with what.
func (f *faulty) roll() (before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := []error{errDown, context.DeadlineExceeded, context.Canceled}[f.random.IntN(3)]
	switch n := f.random.IntN(10); {
	case n < 2:
		f.faults++
		return err, nil
	case n < 5:
		f.faults++
		return nil, err
	default:
		return nil, nil
	}
}

func (f *faulty) Load(ctx context.Context, id string, known *session.Record) (*session.Record, error) {
	if before, after := f.roll(); before != nil && after == nil {
		return nil, before
	}
	return f.Driver.Load(ctx, id, known)
}

func (f *faulty) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	before, after := f.roll()
	if before != nil {
		return nil, before
	}
	stored, err := f.Driver.Commit(ctx, next)
	if err == nil && after != nil {
		return nil, after
	}
	return stored, err
}

// unknownOutcomesAreResolved: whatever the connection does, each mutation is applied once, and its caller hears so.
func unknownOutcomesAreResolved(w *world) {
	const stores, callers, each = 2, 4, 15
	var group sync.WaitGroup
	drivers := make([]*faulty, stores)
	for i := range stores {
		drivers[i] = newFaulty(w.open(), uint64(i))
		s := w.store(drivers[i])
		for j := range callers {
			group.Go(func() {
				for k := range each {
					id := fmt.Sprintf("%d/%d/%02d", i, j, k)
					outcomes, err := s.Apply(w.Context(), "s", []session.Mutation{line(id)})
					if err != nil || outcomes[0].Err != nil || outcomes[0].Duplicate {
						w.Errorf("%s: %+v, %v", id, outcomes, err)
					}
				}
			})
		}
	}
	group.Wait()
	for i, d := range drivers {
		if d.faults < each {
			w.Errorf("store %d had only %d faults: the case tests nothing", i, d.faults)
		}
	}
	s := w.store(w.open())
	last := map[string]string{}
	got := w.lines(s, "s")
	for _, id := range got {
		caller := id[:strings.LastIndexByte(id, '/')]
		if id <= last[caller] {
			w.Errorf("%s was applied after %s", id, last[caller])
		}
		last[caller] = id
	}
	if want := stores * callers * each; len(got) != want || w.head(s, "s").Version != int64(want) {
		w.Errorf("%d lines at version %d of %d mutations", len(got), w.head(s, "s").Version, want)
	}
}

// failuresLastUntilTheContextEnds and are then told.
func failuresLastUntilTheContextEnds(w *world) {
	ctx, cancel := context.WithCancel(w.Context())
	d := &failing{Driver: w.open(), err: fmt.Errorf("to the store: %w", errDown), enough: 4, then: cancel}
	s := w.store(d)
	_, err := s.Apply(ctx, "s", []session.Mutation{line("a")})
	if !errors.Is(err, errDown) || !errors.Is(err, context.Canceled) {
		w.Errorf("with a driver that fails: %v, want its error and the context's", err)
	}
	d.set(nil)
	w.applied(s, "s", line("a"))

	d.set(fmt.Errorf("%w: no such id", session.ErrInvalid))
	if _, err := s.Apply(w.Context(), "t", []session.Mutation{line("a")}); !errors.Is(err, session.ErrInvalid) {
		w.Errorf("with a driver that refuses: %v, want ErrInvalid at once", err)
	}
}

// failing fails loads with err; after some of them it calls then.
type failing struct {
	session.Driver
	mu     sync.Mutex
	err    error
	enough int
	then   func()
}

func (f *failing) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failing) Load(ctx context.Context, id string, known *session.Record) (*session.Record, error) {
	f.mu.Lock()
	err := f.err
	if f.enough--; f.enough == 0 {
		f.then()
	}
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.Driver.Load(ctx, id, known)
}

// narrow is a driver that can store less than the port's limits allow.
type narrow struct{ session.Driver }

func (n narrow) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	if next.Size() > 1000 {
		return nil, fmt.Errorf("%w: it can store 1000 bytes", session.ErrTooLarge)
	}
	return n.Driver.Commit(ctx, next)
}

// refusalsHitOnlyTheLarge: what the driver cannot store is rejected, and its neighbours in the batch are not.
func refusalsHitOnlyTheLarge(w *world) {
	s := w.store(narrow{w.open()})
	var ms []session.Mutation
	var want []string
	for i := range 40 {
		id := fmt.Sprintf("m%02d", i)
		if i%10 == 7 {
			ms = append(ms, put(id, `"`+strings.Repeat("x", 1000)+`"`))
			continue
		}
		ms = append(ms, line(id))
		want = append(want, id)
	}
	outcomes := w.apply(s, "s", ms...)
	for i, o := range outcomes {
		if code := o.Code; (i%10 == 7) != (code == session.RejectedTooLarge) || (i%10 != 7) != (code == session.Applied) || o.Duplicate {
			w.Errorf("outcome %d is %+v", i, o)
		}
	}
	if got := w.lines(s, "s"); !slices.Equal(got, want) {
		w.Errorf("applied were %v", got)
	}
	w.again(s, "s", ms[7], outcomes[7])
}

// limitsAreKept by the store on every driver.
func limitsAreKept(w *world) {
	s := w.store(w.open())
	w.applied(s, "s", put("small", "1"))
	big := `"` + strings.Repeat("x", session.MaxPart-2) + `"`
	for _, part := range []session.PartName{session.PartState} {
		w.rejected(s, "s", session.Mutation{ID: "over", Kind: session.Put, Part: part, Payload: []byte(big + " ")}, session.RejectedTooLarge, session.ErrTooLarge)
	}
	if r, err := s.Get(w.Context(), "s"); err != nil || string(r.Parts[session.PartState].Data) != "1" {
		w.Fatalf("after a refusal: %v", err)
	}
	w.applied(s, "s", put("full", big))
	for i, part := range []session.PartName{session.PartFullConversations, session.PartCompactConversations} {
		w.applied(s, "s", session.Mutation{ID: fmt.Sprint("full", i), Kind: session.Put, Part: part, Payload: []byte(`[` + big[:len(big)-3] + `"]`)})
	}
	over := session.Mutation{ID: "sum", Kind: session.Put, Part: session.PartMCPServers, Payload: []byte(`{"a":"` + strings.Repeat("x", 3<<20) + `"}`)}
	w.rejected(s, "s", over, session.RejectedTooLarge, session.ErrTooLarge)
	r, err := s.Get(w.Context(), "s")
	if err != nil || r.Version != 4 || len(r.Parts) != 3 || string(r.Parts[session.PartState].Data) != big {
		w.Fatalf("a record of %d bytes did not come back: %v", session.MaxRecord, err)
	}
}
