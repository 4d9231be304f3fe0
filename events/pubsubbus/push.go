package pubsubbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"vibesdk-gcp/events"
)

const (
	// maxPush is the largest push request, in bytes: the largest message that Pub/Sub takes (10 MB) in base64, and its attributes.
	maxPush = 16 << 20
	// pushReadTimeout bounds the reading of one request.
	pushReadTimeout = 30 * time.Second
	// pushMargin is how long before Pub/Sub's deadline a request has its answer, so that it arrives in time.
	pushMargin = time.Second
)

// Push takes the messages of pushed subscriptions from Pub/Sub's requests. They go the way of pulled ones: lanes of keys, credits,
// verdicts, copies, drain. See the package comment.
type Push struct {
	d *Driver
	// reading bounds the bytes of requests that are being read, as Options.MaxOutstandingBytes bounds what is held.
	reading *semaphore.Weighted
}

// PushHandler returns the handler of POST /push/{consumer}, where the consumer is the name of a subscription in Options.Push. It trusts who
// calls: whoever reaches it can have any message handled, so a check of Pub/Sub's token belongs before it. The answers:
//
//	204  the message is handled, or on dead-letters; Pub/Sub forgets it
//	400  this is no wrapped push of that subscription; the text says why
//	404  no subscription of this name is pushed here
//	413  the request has more than 16 MiB
//	429  as much is held as may be
//	503  not done: the consumer drains or has not begun, the attempt failed and cannot wait here for the next, or time is up
//
// After any but 204 Pub/Sub delivers the message again. Several calls may run at once.
func (d *Driver) PushHandler() http.Handler {
	p := &Push{d: d, reading: semaphore.NewWeighted(int64(max(d.o.MaxOutstandingBytes, maxPush)))}
	mux := http.NewServeMux()
	mux.Handle("POST /push/{consumer}", p)
	return mux
}

// refusal is an answer other than 204.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (p *Push) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	consumer := r.PathValue("consumer")
	err := p.serve(w, r, consumer)
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	said, ok := errors.AsType[*refusal](err)
	if !ok {
		said = &refusal{http.StatusBadRequest, err.Error()}
	}
	if said.status < http.StatusInternalServerError && said.status != http.StatusTooManyRequests { // it is set up wrongly, and so it stays
		p.d.o.Logger.WarnContext(r.Context(), "pubsub: a push was refused", "subscription", consumer, "status", said.status, "error", said.text)
	}
	http.Error(w, said.text, said.status)
}

// serve has one message handled. Nil means that it is done.
func (p *Push) serve(w http.ResponseWriter, r *http.Request, consumer string) error {
	if !slices.Contains(p.d.o.Push, consumer) {
		return refuse(http.StatusNotFound, "no subscription %q is pushed here", consumer)
	}
	if err := checkWrapped(r.Header); err != nil {
		return err
	}
	ends := time.Now().Add(p.d.o.PushDeadline - pushMargin)
	body, err := p.read(w, r)
	if err != nil {
		return err
	}
	m, err := decodePush(body, p.d.subscriptionName(consumer))
	if err != nil {
		return err
	}
	receiver := p.d.running.choose(consumer, m)
	if receiver == nil {
		return refuse(http.StatusServiceUnavailable, "the consumer of %s does not run now", consumer)
	}
	it, mine := p.d.newItem(m, consumer)
	if !mine {
		return nil
	}
	outcome := make(answer, 1)
	it.deliveries = []delivery{outcome}
	if !receiver.tryAcquire(it) {
		return refuse(http.StatusTooManyRequests, "%s holds as many messages as it may", consumer)
	}
	it, ok := receiver.hold(it)
	if !ok {
		return refuse(http.StatusServiceUnavailable, "the consumer of %s ends", consumer)
	}
	return receiver.await(r.Context(), it, outcome, ends)
}

// read reads the body within the limits on bytes and time.
func (p *Push) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	size := r.ContentLength
	if size < 0 {
		size = maxPush
	}
	if size > maxPush {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the request has %d bytes, the limit is %d", size, maxPush)
	}
	if !p.reading.TryAcquire(size) {
		return nil, refuse(http.StatusTooManyRequests, "as many requests are being read as may be")
	}
	defer p.reading.Release(size)
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(pushReadTimeout)) // connections have deadlines
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, refuse(http.StatusRequestEntityTooLarge, "the request has more than %d bytes", maxPush)
		}
		return nil, refuse(http.StatusBadRequest, "the request could not be read: %s", err)
	}
	_ = conn.SetReadDeadline(time.Time{}) // or the connection counts as broken while the message is handled
	return body, nil
}

// answer is the delivery of a push: what its request is answered.
type answer chan bool

// Ack implements delivery.
func (a answer) Ack() { a.say(true) }

// Nack implements delivery.
func (a answer) Nack() { a.say(false) }

func (a answer) say(done bool) {
	select {
	case a <- done:
	default: // it has been said
	}
}

// await waits for the outcome of a message that is held, at most until ends. Early enough for an attempt that begins just before to
// finish, the message stops waiting for another one.
func (r *receiver) await(ctx context.Context, it *item, outcome answer, ends time.Time) error {
	left := time.Until(ends)
	soft := time.NewTimer(max(left-r.sub.AttemptTimeout-settleTimeout, left/2))
	defer soft.Stop()
	hard := time.NewTimer(left)
	defer hard.Stop()
	for {
		select {
		case done := <-outcome:
			if !done {
				return refuse(http.StatusServiceUnavailable, "%s has not handled the message", r.sub.Name)
			}
			return nil
		case <-soft.C:
			r.withdraw(it, outcome, true)
		case <-hard.C:
			r.withdraw(it, outcome, false)
			return refuse(http.StatusServiceUnavailable, "%s has not handled the message in time", r.sub.Name)
		case <-ctx.Done():
			r.withdraw(it, outcome, false)
			return refuse(http.StatusServiceUnavailable, "the request has ended")
		}
	}
}

// receivePushed is Receive for a subscription of Options.Push.
func (d *Driver) receivePushed(ctx context.Context, sub events.Subscription, handle events.HandleFunc) error {
	r := newReceiver(d, sub, handle)
	d.running.add(r)
	<-ctx.Done()
	d.running.remove(r)
	r.drain()
	return nil
}
