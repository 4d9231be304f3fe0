package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// rejected is a mutation that was decided against.
type rejected struct {
	outcome session.Outcome
	// conditional is set when the caller gave the version that he expected.
	conditional bool
}

func (e *rejected) Error() string { return e.outcome.Err.Error() }
func (e *rejected) Unwrap() error { return e.outcome.Err }

// mutation is a change that a call asks for.
type mutation struct {
	message *gen.StateMutation
	payload []byte
	// known is set when the id is the caller's own, who may have sent it before.
	known bool
	// created gives the address of what the mutation made, from Outcome.Ref; nil makes nothing.
	created func(ref string) string
}

// newMutation begins a mutation from the path and the headers: id and precondition.
func newMutation(r *http.Request, sessionID string, kind gen.StateMutation_Kind) (*mutation, error) {
	expected, err := expectedVersion(r.Header)
	if err != nil {
		return nil, err
	}
	m := &mutation{message: &gen.StateMutation{
		SessionId: sessionID, Kind: kind, ExpectedVersion: expected, MutationId: r.Header.Get("Idempotency-Key"),
	}}
	return m, m.identify("Idempotency-Key")
}

// identify gives a mutation without an id one of its own.
func (m *mutation) identify(field string) error {
	if m.message.GetMutationId() != "" {
		m.known = true
		return checkID(field, m.message.GetMutationId())
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mutation id: %w", err)
	}
	m.message.MutationId = id.String()
	return nil
}

// mutate publishes a mutation and answers with its outcome, or with 202 when that is not wanted or not there in time.
func (g *Gateway) mutate(w http.ResponseWriter, r *http.Request, m *mutation) error {
	if m.known && m.message.GetPayloadUri() == "" {
		outcome, err := g.Sessions.Decided(r.Context(), m.message.GetSessionId(), m.asApplied())
		if err == nil {
			return g.answer(w, m, outcome)
		}
		if !errors.Is(err, session.ErrNotFound) {
			return err
		}
	}
	prefer := preferenceOf(r.Header, g.WaitFor)
	if err := g.send(r.Context(), m, prefer.wait > 0); err != nil {
		return err
	}
	if prefer.applied != "" {
		w.Header().Set("Preference-Applied", prefer.applied)
	}
	outcome, ok := g.await(r.Context(), m.message.GetSessionId(), m.message.GetMutationId(), prefer.wait)
	if !ok {
		w.Header().Set("Location", sessionPath(m.message.GetSessionId(), "mutations", m.message.GetMutationId()))
		writeJSON(w, http.StatusAccepted, MutationResult{MutationID: m.message.GetMutationId(), Code: pending})
		return nil
	}
	return g.answer(w, m, outcome)
}

// answer writes an outcome.
func (g *Gateway) answer(w http.ResponseWriter, m *mutation, o session.Outcome) error {
	if o.Err != nil {
		conditional := m.message.ExpectedVersion != nil
		if conditional {
			w.Header().Set("ETag", etag(o.Version))
		}
		return &rejected{outcome: o, conditional: conditional}
	}
	w.Header().Set("ETag", etag(o.Version))
	status := http.StatusOK
	if m.created != nil {
		w.Header().Set("Location", m.created(o.Ref))
		status = http.StatusCreated
	}
	writeJSON(w, status, viewOutcome(o))
	return nil
}

// send publishes a mutation, its payload beside it when that is large.
func (g *Gateway) send(ctx context.Context, m *mutation, awaited bool) error {
	message, err := g.encodeMutation(ctx, m, awaited)
	if err != nil {
		return err
	}
	forget := g.hub.follow(ctx, m.message.GetSessionId(), m.message.GetMutationId())
	err = g.Publisher.Publish(ctx, events.StateMutations, message)
	if err != nil {
		forget()
	}
	return err
}

// encodeMutation makes the message of a mutation; a large payload is stored beside it.
func (g *Gateway) encodeMutation(ctx context.Context, m *mutation, awaited bool) (events.Message, error) {
	if len(m.payload) > maxInline {
		address, err := g.storePayload(ctx, m.message.GetSessionId(), m.message.GetMutationId(), m.payload)
		if err != nil {
			return events.Message{}, err
		}
		m.message.PayloadUri = address
	} else {
		m.message.Payload = string(m.payload)
	}
	data, err := schemas.EncodeStateMutation(m.message)
	if err != nil {
		return events.Message{}, err
	}
	message := events.Message{Key: m.message.GetSessionId(), Data: data}
	if awaited {
		message.Attributes = map[string]string{schemas.AwaitedAttribute: "1"}
	}
	return message, nil
}

// await waits for an outcome, and says false when it is not there after wait or when the server stops: the message is
// durable, so that is no failure.
func (g *Gateway) await(ctx context.Context, sessionID, mutationID string, wait time.Duration) (session.Outcome, bool) {
	if wait <= 0 {
		return session.Outcome{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	go func() {
		select {
		case <-g.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	outcome, err := g.Sessions.Wait(ctx, sessionID, mutationID)
	if err != nil && ctx.Err() == nil {
		g.log.WarnContext(ctx, "outcome could not be read", "session_id", sessionID, "error", err)
	}
	return outcome, err == nil
}

// asApplied is the mutation as the state writer applies it, to be compared with what the ring remembers.
func (m *mutation) asApplied() session.Mutation {
	return session.Mutation{
		ID: m.message.GetMutationId(), Kind: session.Kind(m.message.GetKind()), Part: session.PartName(m.message.GetPart()),
		Expected: m.message.ExpectedVersion, Payload: m.payload, Path: m.message.GetPath(), CloneOf: m.message.GetCloneOf(),
	}
}

// ownPayload refuses addresses that this gateway did not hand out: the state writer would not read them, and nobody
// would learn that but the reader of the dead letters.
func (g *Gateway) ownPayload(address string) error {
	if address == "" || strings.HasPrefix(address, g.SourcesURL+"/"+MutationPrefix) {
		return nil
	}
	return invalid("payloadUri", "must be below %s/%s", g.SourcesURL, MutationPrefix)
}
