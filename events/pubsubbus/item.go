package pubsubbus

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"vibesdk-gcp/events"
)

// Attributes of a copy: a message that the driver published again because it has to wait.
const (
	copyPrefix = "vibesdk-bus-"
	// copyConsumer names the subscription that the copy is for. Other subscriptions of the topic acknowledge it unseen.
	copyConsumer = copyPrefix + "consumer"
	// copyAttempts counts the failed attempts so far.
	copyAttempts = copyPrefix + "attempts"
	// copyNotBefore is when the wait ends.
	copyNotBefore = copyPrefix + "not-before"
)

// deliveriesPerAttempt is how many deliveries that ended without an acknowledgement count as one failed attempt.
// The broker counts a message that only waited in a consumer which was drained or died just like the one that
// killed it, so a delivery alone proves nothing. With 4, a message that kills its consumer every time is parked
// by the bus, with a reason, after 80 deliveries at the default of 20 attempts: before the broker moves it
// to dead letters without one at maxDeliveryAttempts.
const deliveriesPerAttempt = 4

// delivery is one way to tell the broker what became of a message: on a stream the client's message, on a push the answer
// of its request.
type delivery interface {
	Ack()
	Nack()
}

// item is one message of a subscription that this process holds.
type item struct {
	id string // the broker's
	// deliveries are the ways to acknowledge it: more than one when the broker lost patience and sent it again.
	deliveries []delivery
	lane       *lane
	event      events.Message
	// failed counts the failed attempts, those of earlier deliveries included.
	failed int
	// due is when it may be handed out.
	due time.Time
	// changed tells that failed or due are known here only.
	changed bool
	// leaving tells that it may not wait here for another attempt, because the requests that brought it end. lost tells that they
	// have ended, so that it cannot be acknowledged.
	leaving, lost bool
}

// newItem decodes a message. mine is false for a copy that is meant for another subscription. A message that Pub/Sub itself gave up
// becomes a dead letter like those of the bus.
func (d *Driver) newItem(m *pubsub.Message, subscription string) (it *item, mine bool) {
	source, dead := d.deadFrom(m)
	if dead {
		subscription = source // whose message it was
	}
	if consumer, ok := m.Attributes[copyConsumer]; ok && consumer != subscription {
		return nil, false
	}
	it = &item{
		id:         m.ID,
		deliveries: []delivery{m},
		event:      events.DecodeAttributes(m.Attributes, m.ID, m.PublishTime),
	}
	maps.DeleteFunc(it.event.Attributes, func(name, _ string) bool { return strings.HasPrefix(name, copyPrefix) })
	it.event.Data = m.Data
	it.event.Key = m.OrderingKey
	if dead { // what it waited for and how often it failed was before
		it.event = d.givenUp(m, it.event, source)
		return it, true
	}
	it.due = it.event.NotBefore
	if at, err := time.Parse(time.RFC3339Nano, m.Attributes[copyNotBefore]); err == nil && at.After(it.due) {
		it.due = at
	}
	if n, err := strconv.Atoi(m.Attributes[copyAttempts]); err == nil && n > 0 {
		it.failed = n
	}
	if m.DeliveryAttempt != nil {
		it.failed += max(*m.DeliveryAttempt-1, 0) / deliveriesPerAttempt
	}
	return it, true
}

// handout gives the message as the handler sees it.
func (it *item) handout() events.Message {
	m := it.event.Clone()
	m.Attempt = it.failed + 1
	return m
}

// apply takes over a verdict other than Done.
func (it *item) apply(v events.Verdict) {
	if v.Failed {
		it.failed++
	}
	it.due = time.Now().Add(v.After)
	it.changed = it.changed || v.Failed || v.After > 0
}

// copy gives the message that stands for this one from now on, for one subscription only.
func (it *item) copy(subscription string) *pubsub.Message {
	attrs := events.EncodeAttributes(it.event)
	attrs[copyConsumer] = subscription
	attrs[copyAttempts] = strconv.Itoa(it.failed)
	attrs[copyNotBefore] = it.due.UTC().Format(time.RFC3339Nano)
	return &pubsub.Message{Data: it.event.Data, Attributes: attrs}
}

// ack removes the message from the subscription, however often it was delivered.
func (it *item) ack() {
	for _, d := range it.deliveries {
		d.Ack()
	}
}

// nack gives the message back to the broker, which delivers it again to any consumer.
func (it *item) nack() {
	for _, d := range it.deliveries {
		d.Nack()
	}
}
