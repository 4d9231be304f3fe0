package events

import (
	"maps"
	"time"
)

// Limits of one message. They are Pub/Sub's, so that a message accepted by an embedded bus is accepted
// by the service as well.
const (
	// MaxData is the largest payload in bytes. Pub/Sub takes 10 MB a request, envelope included.
	MaxData = 9 << 20
	// MaxKey is the longest ordering key in bytes.
	MaxKey = 1024
	// MaxAttributes is how many extension attributes a message carries; the envelope's own take the rest of
	// Pub/Sub's 100.
	MaxAttributes = 80
	// MaxAttributeName and MaxAttributeValue are the longest attribute name and value in bytes.
	MaxAttributeName  = 256
	MaxAttributeValue = 1024
)

// Message is the envelope of the bus: a CloudEvents 1.0 event plus an ordering key and a due time.
type Message struct {
	// ID identifies the event for ever. It is chosen by the publisher (a UUIDv7 when left empty) and is the
	// same on redelivery, after a dead letter and on replay; the broker's own id is none of these.
	ID string
	// Type is the CloudEvents type, set from the topic when empty.
	Type string
	// Source is the CloudEvents source: which program published.
	Source string
	// Time is when the event happened, set at publish when zero.
	Time time.Time
	// Key orders messages on a topic with Topic.Ordered; it must be empty elsewhere.
	Key string
	// NotBefore, when set, holds delivery back until then. It survives restarts.
	NotBefore time.Time
	// Data is the payload.
	Data []byte
	// Attributes are extension attributes: trace context, dead-letter facts.
	Attributes map[string]string

	// Attempt is set on delivery: 1 for the first, one more for each failed attempt before. A postponement
	// (RetryAfter) does not count, a crash of the consumer does.
	Attempt int
}

// Clone returns a copy that shares nothing but Data, which nobody may change.
func (m Message) Clone() Message {
	m.Attributes = maps.Clone(m.Attributes)
	return m
}
