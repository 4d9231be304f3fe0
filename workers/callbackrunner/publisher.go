package callbackrunner

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// PublisherOptions are what a [Publisher] works with. Sessions and Publisher must be set.
type PublisherOptions struct {
	Sessions  *session.Reader
	Publisher events.Publisher
	// Lookahead is how far ahead runs are published: at least the time between two sweeps of the janitor, which finds the
	// later ones. Defaults to 90 seconds, a sweep a minute and time for it.
	Lookahead time.Duration
	// Now defaults to time.Now.
	Now func() time.Time
}

// Publisher publishes the runs of jobs that are due soon. It is safe for concurrent use.
type Publisher struct{ o PublisherOptions }

// NewPublisher returns a Publisher.
func NewPublisher(o PublisherOptions) *Publisher {
	if o.Lookahead == 0 {
		o.Lookahead = 90 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Publisher{o}
}

// atOnce is how many messages are published at once.
const atOnce = 200

// Wake publishes the runs of a session that may begin before the lookahead ends, each to be delivered at its time. To do so
// twice is harmless. A session that is not present has none.
func (p *Publisher) Wake(ctx context.Context, sessionID string) error {
	rec, err := p.o.Sessions.Get(ctx, sessionID)
	if errors.Is(err, session.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("jobs of session: %w", err)
	}
	return p.Publish(ctx, rec)
}

// Publish is Wake for a record that the caller has.
func (p *Publisher) Publish(ctx context.Context, rec *session.Record) error {
	now := p.o.Now()
	jobs, err := rec.Ready(now.Add(p.o.Lookahead))
	if err != nil {
		return fmt.Errorf("jobs of session: %w", err)
	}
	for len(jobs) > 0 {
		n := min(len(jobs), atOnce)
		msgs := make([]events.Message, n)
		for i, j := range jobs[:n] {
			data, err := schemas.EncodeAgentCallback(&gen.AgentCallback{SessionId: rec.ID, JobId: j.ID, Run: j.Run})
			if err != nil {
				return fmt.Errorf("publish runs: %w", err)
			}
			msgs[i] = events.Message{ID: "run-" + runKey(rec.ID, j.ID, j.Run), Data: data}
			if at := j.ReadyAt(); at.After(now) {
				msgs[i].NotBefore = at
			}
		}
		if err := p.o.Publisher.Publish(ctx, events.AgentCallbacks, msgs...); err != nil {
			return fmt.Errorf("publish runs: %w", err)
		}
		jobs = jobs[n:]
	}
	return nil
}

// runKey names a run for ever: ids are any text, so it is a digest of all three.
func runKey(sessionID, jobID string, run int64) string {
	return digest(sessionID, jobID, strconv.FormatInt(run, 10))
}

// digest is the same for the same texts and differs when any of them does.
func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		_, _ = h.Write(size[:]) // a hash never fails
		_, _ = h.Write([]byte(text))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}
