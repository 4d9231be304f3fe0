package statewriter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// Options are what a [Writer] works with. Store must be set.
type Options struct {
	Store *session.Store
	// Payloads reads payloads by reference. Nil parks mutations that have one.
	Payloads Payloads
	// Wake is called with sessions that may have jobs which are due soon. Nil leaves them to the janitor.
	Wake func(ctx context.Context, sessionID string) error
	// Logger defaults to slog.Default.
	Logger *slog.Logger

	pause time.Duration // before a payload is read again
}

// Writer applies mutations. It is safe for concurrent use, also by several processes over one store.
type Writer struct{ o Options }

// New returns a Writer.
func New(o Options) *Writer {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.pause == 0 {
		o.pause = 50 * time.Millisecond
	}
	return &Writer{o}
}

// Handle is the [events.BatchHandler] of the statewriter subscription: it applies a run of mutations of one session. It is
// idempotent by the mutations' ids.
func (w *Writer) Handle(ctx context.Context, key string, run []events.Message) error {
	r := running{Writer: w, session: key, run: run, errs: make([]error, len(run))}
	for i := range run {
		if err := r.take(ctx, i); err != nil {
			// What is before it is applied all the same; what is behind it waits for it.
			r.stop(i, err)
			break
		}
	}
	r.apply(ctx)
	if r.wake && w.o.Wake != nil {
		if err := w.o.Wake(ctx, key); err != nil {
			w.o.Logger.WarnContext(ctx, "jobs that are due wait for the next sweep", "session_id", key, "error", err)
		}
		afterWake.Hit()
	}
	if errors.Join(r.errs...) == nil {
		return nil
	}
	return &events.BatchError{Errs: r.errs}
}

// running is one run of messages in the making.
type running struct {
	*Writer
	session string
	run     []events.Message
	errs    []error

	// mutations wait to be applied together; at are their places in the run, and held the bytes that were fetched for them.
	mutations []session.Mutation
	at        []int
	held      int
	// stopped is set when something could not be had that time may mend: what is behind it must not be applied before.
	stopped bool
	wake    bool
}

// take adds message i to the mutations. An error is one that time may mend.
func (r *running) take(ctx context.Context, i int) error {
	m, err := schemas.DecodeStateMutation(r.run[i].Data)
	if err == nil && m.GetSessionId() != r.session {
		err = fmt.Errorf("message of key %q is for session %q: the key orders mutations and must be the session's id", r.session, m.GetSessionId())
	}
	if err != nil {
		r.errs[i] = events.Permanent(fmt.Errorf("decode payload: %w", err))
		return nil
	}
	payload := []byte(m.GetPayload())
	if m.GetPayloadUri() != "" {
		payload, err = r.fetch(ctx, m, func() bool {
			r.apply(ctx) // what is before it must not wait for it
			return !r.stopped
		})
		if err == nil && r.held > 0 && r.held+len(payload) > MaxHeld {
			r.apply(ctx)
		}
		switch {
		case r.stopped:
			return r.errs[i]
		case events.IsPermanent(err):
			r.errs[i] = describe(m.GetMutationId(), err)
			return nil
		case err != nil:
			return describe(m.GetMutationId(), err)
		}
		r.held += len(payload)
	}
	r.mutations = append(r.mutations, mutation(m, payload, r.run[i].Replays()))
	r.at = append(r.at, i)
	return nil
}

// stop gives the messages from i on an error.
func (r *running) stop(i int, err error) {
	for ; i < len(r.errs); i++ {
		r.errs[i] = err
	}
	r.stopped = true
}

// apply applies the mutations that were taken.
func (r *running) apply(ctx context.Context) {
	if len(r.mutations) == 0 {
		return
	}
	mutations, at := r.mutations, r.at
	r.mutations, r.at, r.held = nil, nil, 0
	beforeApply.Hit()
	outcomes, err := r.o.Store.Apply(ctx, r.session, mutations)
	afterApply.Hit()
	if err != nil {
		r.stop(at[0], fmt.Errorf("apply %d mutations: %w", len(mutations), err))
		return
	}
	for n, o := range outcomes {
		awaited := r.run[at[n]].Attributes[schemas.AwaitedAttribute] == "1"
		r.errs[at[n]] = r.settle(ctx, mutations[n].Kind, o, awaited)
		r.wake = r.wake || o.Err == nil && makesDue(mutations[n].Kind)
	}
}

// settle says what becomes of the message of a mutation that was decided. A reused id is parked also when its publisher waits: the
// outcome that he finds is the first one's.
func (r *running) settle(ctx context.Context, kind session.Kind, o session.Outcome, awaited bool) error {
	switch {
	case o.Err == nil:
		return nil
	case awaited && !errors.Is(o.Err, session.ErrIDReused), errors.Is(o.Err, session.ErrConflict), errors.Is(o.Err, session.ErrInitialized),
		kind == session.Cancel && errors.Is(o.Err, session.ErrNotFound):
		r.o.Logger.DebugContext(ctx, "mutation was rejected", "session_id", r.session, "mutation_id", o.MutationID, "reason", o.Err)
		return nil
	default:
		return events.Permanent(describe(o.MutationID, o.Err))
	}
}

func describe(mutationID string, err error) error {
	return fmt.Errorf("mutation %s: %w", mutationID, err)
}

// makesDue reports whether a mutation may make a job due that was not before: those that take one away do, because an item of
// the queue may have waited behind it.
func makesDue(k session.Kind) bool {
	switch k {
	case session.Schedule, session.Cancel, session.Enqueue, session.Dequeue, session.Import:
		return true
	default:
		return false
	}
}

var kinds = map[gen.StateMutation_Kind]session.Kind{
	gen.StateMutation_INITIALIZE:      session.Initialize,
	gen.StateMutation_PUT:             session.Put,
	gen.StateMutation_MERGE:           session.Merge,
	gen.StateMutation_PATCH:           session.Patch,
	gen.StateMutation_APPEND:          session.Append,
	gen.StateMutation_CLONE:           session.Clone,
	gen.StateMutation_DESTROY:         session.Destroy,
	gen.StateMutation_SCHEDULE:        session.Schedule,
	gen.StateMutation_CANCEL_SCHEDULE: session.Cancel,
	gen.StateMutation_ENQUEUE:         session.Enqueue,
	gen.StateMutation_DEQUEUE:         session.Dequeue,
	gen.StateMutation_IMPORT:          session.Import,
}

func mutation(m *gen.StateMutation, payload []byte, replay int) session.Mutation {
	return session.Mutation{
		ID: m.GetMutationId(), Kind: kinds[m.GetKind()], Part: session.PartName(m.GetPart()), Expected: m.ExpectedVersion,
		Payload: payload, Path: m.GetPath(), CloneOf: m.GetCloneOf(), Replay: replay,
	}
}
