package sessiontest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"vibesdk-gcp/platform/session"
)

// linearInput is one operation on one session.
type linearInput struct {
	session string
	read    bool
	m       session.Mutation
}

// linearOutput is what its caller heard.
type linearOutput struct {
	// unknown is set when the caller left or crashed: it may have happened, at once or later, or not.
	unknown bool

	// Of a mutation.
	code    session.Code
	version int64

	// Of a read. version is shared; 0 when nothing was found.
	state, lines string
}

// linearState is a session as the documentation says, without any of the port's code.
type linearState struct {
	present, initialized bool
	version              int64
	state, lines         string
	decided              map[string]linearOutput // by mutation id
}

func (s linearState) apply(m session.Mutation) (linearState, linearOutput) {
	if had, ok := s.decided[m.ID]; ok {
		return s, had
	}
	next := s
	code := session.Applied
	visible := s.version
	if !s.present {
		visible = 0
	}
	switch {
	case m.Expected != nil && *m.Expected != visible:
		code = session.RejectedConflict
	case m.Kind == session.Initialize && s.initialized:
		code = session.RejectedInitialized
	case m.Kind == session.Initialize:
		next.present, next.initialized, next.state = true, true, string(m.Payload)
	case m.Kind == session.Put:
		next.present, next.state = true, string(m.Payload)
	case m.Kind == session.Append:
		next.present, next.lines = true, s.lines+" "+strings.Trim(string(m.Payload), `"`)
	case m.Kind == session.Destroy:
		next.present, next.initialized, next.state, next.lines = false, false, "", ""
	}
	if code == session.Applied {
		next.version++
	} else {
		next = s
	}
	out := linearOutput{code: code, version: next.version}
	next.decided = maps.Clone(s.decided)
	next.decided[m.ID] = out
	return next, out
}

var linearModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, op := range history {
			id := op.Input.(linearInput).session
			parts[id] = append(parts[id], op)
		}
		return slices.Collect(maps.Values(parts))
	},
	Init: func() any { return linearState{decided: map[string]linearOutput{}} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(linearState), input.(linearInput), output.(linearOutput)
		if in.read {
			want := linearOutput{}
			if s.present {
				want = linearOutput{version: s.version, state: s.state, lines: s.lines}
			}
			return out.unknown || out == want, s
		}
		next, want := s.apply(in.m)
		return out.unknown || out == want, next
	},
	Equal: func(a, b any) bool {
		s, t := a.(linearState), b.(linearState)
		return s.version == t.version && s.present == t.present && s.initialized == t.initialized &&
			s.state == t.state && s.lines == t.lines && maps.Equal(s.decided, t.decided)
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(linearInput), output.(linearOutput)
		if in.read {
			return fmt.Sprintf("%s: read %+v", in.session, out)
		}
		expected := ""
		if in.m.Expected != nil {
			expected = fmt.Sprintf(" at %d", *in.m.Expected)
		}
		return fmt.Sprintf("%s: %s kind %d %s%s → %+v", in.session, in.m.ID, in.m.Kind, in.m.Payload, expected, out)
	},
}

// historiesAreLinearizable: clients on several stores, one of which fails at random, mutate and read two sessions,
// deliver again what they and others sent, and leave in the middle. There must be an order of all
// operations, each between its call and its return, that the documentation allows.
func historiesAreLinearizable(w *world) {
	// Whatever may have happened at any time, or not at all, doubles what the checker looks through; with a slow driver
	// everyone who leaves does so in the middle.
	const clients, each, unknowns = 6, 30, 5
	start := time.Now()
	var mu sync.Mutex
	unknown := 0
	var history []porcupine.Operation
	var sent []linearInput
	stores := []*session.Store{w.store(w.open()), w.store(newFaulty(w.open(), 3)), w.uncached(w.open())}
	var group sync.WaitGroup
	for client := range clients {
		random := rand.New(rand.NewPCG(uint64(client), 11))
		group.Go(func() {
			seen := map[string]int64{} // version, by session
			for n := range each {
				in := randomInput(random, fmt.Sprintf("c%d-%d", client, n), seen)
				mu.Lock()
				switch {
				case in.read:
				case len(sent) > 0 && random.IntN(5) == 0:
					in = sent[random.IntN(len(sent))]
				default:
					sent = append(sent, in)
				}
				leave := unknown < unknowns && random.IntN(8) == 0
				mu.Unlock()
				ctx, cancel := context.WithCancel(w.Context())
				if leave {
					time.AfterFunc(time.Duration(random.IntN(3000))*time.Microsecond, cancel)
				}
				op := porcupine.Operation{ClientId: client, Input: in, Call: time.Since(start).Nanoseconds()}
				out, err := perform(ctx, stores[random.IntN(len(stores))], in)
				op.Return = time.Since(start).Nanoseconds()
				if out.unknown {
					op.Return = math.MaxInt64
					if ctx.Err() == nil {
						w.Errorf("%s: %v", in.m.ID, err)
					}
				}
				cancel()
				if out.unknown && in.read {
					continue // it says nothing
				}
				seen[in.session] = max(seen[in.session], out.version)
				op.Output = out
				mu.Lock()
				if out.unknown {
					unknown++
				}
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if result := porcupine.CheckOperationsTimeout(linearModel, history, w.f.Patience); result != porcupine.Ok {
		slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		for _, op := range history {
			w.Logf("%9d %9d client %d %s", op.Call/1000, op.Return/1000, op.ClientId, linearModel.DescribeOperation(op.Input, op.Output))
		}
		w.Errorf("the history is not linearizable: %s", result)
	}
}

func randomInput(random *rand.Rand, id string, seen map[string]int64) linearInput {
	in := linearInput{session: fmt.Sprint("s", random.IntN(2))}
	version := seen[in.session] * int64(min(1, random.IntN(5)))
	switch n := random.IntN(20); {
	case n < 5:
		in.read = true
	case n < 12:
		in.m = line(id)
	case n < 15:
		in.m = put(id, fmt.Sprintf("%q", id))
	case n < 17:
		in.m = line(id)
		in.m.Expected = &version
	case n < 19:
		in.m = session.Mutation{ID: id, Kind: session.Initialize, Payload: []byte(fmt.Sprintf("%q", id))}
	default:
		in.m = session.Mutation{ID: id, Kind: session.Destroy}
	}
	return in
}

func perform(ctx context.Context, s *session.Store, in linearInput) (linearOutput, error) {
	if !in.read {
		outcomes, err := s.Apply(ctx, in.session, []session.Mutation{in.m})
		if err != nil {
			return linearOutput{unknown: true}, err
		}
		return linearOutput{code: outcomes[0].Code, version: outcomes[0].Version}, nil
	}
	for {
		r, err := s.Get(ctx, in.session)
		switch {
		case errors.Is(err, session.ErrNotFound):
			return linearOutput{}, nil
		case errors.Is(err, errDown), ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
			continue // a fault of the faulty one; reads may simply be made again
		case err != nil:
			return linearOutput{unknown: true}, err
		}
		out, err := readOf(r)
		return out, err
	}
}

func readOf(r *session.Record) (linearOutput, error) {
	lines, err := linesOf(r)
	if err != nil {
		return linearOutput{}, err
	}
	out := linearOutput{version: r.Version}
	if state, ok := r.State(); ok {
		out.state = string(state)
	}
	for _, l := range lines {
		out.lines += " " + l
	}
	return out, nil
}
