package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Attributes of a dead letter, beside those that the message had.
const (
	deadPrefix       = "dead-letter-"
	deadReason       = deadPrefix + "reason"
	deadTopic        = deadPrefix + "topic"
	deadSubscription = deadPrefix + "subscription"
	deadKey          = deadPrefix + "key"
	deadAttempts     = deadPrefix + "attempts"
	deadPermanent    = deadPrefix + "permanent"
	deadTime         = deadPrefix + "time"
	deadStack        = deadPrefix + "stack"
)

// parkTimeout bounds one publication of a dead letter.
const parkTimeout = 10 * time.Second

// DeadLetter is a message that was given up, and why.
type DeadLetter struct {
	// Message is the original: same ID, type, source, time, key, data and attributes.
	Message Message
	// Topic and Subscription say where it was given up.
	Topic, Subscription string
	// Reason is the last error. Its middle is left out beyond 1024 bytes.
	Reason string
	// Attempts is how many attempts were made, the last one included.
	Attempts int
	// Permanent tells an error that no retry mends from attempts that ran out.
	Permanent bool
	// ParkedAt is when it was given up.
	ParkedAt time.Time
	// Stack holds the frames of the panic, if the last error was one. At most 1024 bytes.
	Stack string
}

// park publishes a dead letter. ctx is one that outlives the drain.
func (b *Bus) park(ctx context.Context, sub Subscription, m Message, err error) error {
	ctx, cancel := context.WithTimeout(ctx, parkTimeout)
	defer cancel()
	letter := DeadLetter{
		Message: m, Topic: sub.Topic.Name, Subscription: sub.Name, Reason: err.Error(),
		Attempts: m.Attempt, Permanent: IsPermanent(err), ParkedAt: time.Now(),
	}
	if p, ok := errors.AsType[*PanicError](err); ok {
		letter.Stack = p.Stack
	}
	// Not Bus.Publish: a message that came around it may break its rules, and must be parked all the same.
	if err := b.driver.Publish(ctx, DeadLetters, []Message{letter.Encode()}); err != nil {
		return fmt.Errorf("park on %s: %w", DeadLetters.Name, err)
	}
	return nil
}

// Encode gives the message that carries a dead letter on the topic [DeadLetters]. The key becomes an attribute: that topic is not
// ordered. It is for drivers whose broker gives messages up by itself.
func (d DeadLetter) Encode() Message {
	m := d.Message.Clone()
	if m.Attributes == nil {
		m.Attributes = map[string]string{}
	}
	set := func(name, value string) {
		if value != "" {
			m.Attributes[name] = cut(readable(value), MaxAttributeValue)
		}
	}
	maps.DeleteFunc(m.Attributes, func(name, _ string) bool { return strings.HasPrefix(name, deadPrefix) })
	set(deadReason, d.Reason)
	set(deadTopic, d.Topic)
	set(deadSubscription, d.Subscription)
	set(deadKey, m.Key)
	set(deadAttempts, strconv.Itoa(d.Attempts))
	set(deadPermanent, strconv.FormatBool(d.Permanent))
	set(deadTime, d.ParkedAt.UTC().Format(time.RFC3339Nano))
	set(deadStack, d.Stack)
	m.Key, m.NotBefore, m.Attempt = "", time.Time{}, 0
	return m
}

// ParseDeadLetter reads a message of the dead-letters topic. It fails for a message that no bus parked.
func ParseDeadLetter(m Message) (DeadLetter, error) {
	d := DeadLetter{
		Message:      m.Clone(),
		Topic:        m.Attributes[deadTopic],
		Subscription: m.Attributes[deadSubscription],
		Reason:       m.Attributes[deadReason],
		Stack:        m.Attributes[deadStack],
	}
	var errs [3]error
	d.Attempts, errs[0] = strconv.Atoi(m.Attributes[deadAttempts])
	d.Permanent, errs[1] = strconv.ParseBool(m.Attributes[deadPermanent])
	d.ParkedAt, errs[2] = time.Parse(time.RFC3339Nano, m.Attributes[deadTime])
	if d.Topic == "" {
		return DeadLetter{}, fmt.Errorf("dead letter %w: attribute %s is missing", ErrInvalid, deadTopic)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return DeadLetter{}, fmt.Errorf("dead letter %w: %w", ErrInvalid, err)
	}
	d.Message.Key = m.Attributes[deadKey]
	d.Message.Attempt = 0
	maps.DeleteFunc(d.Message.Attributes, func(name, _ string) bool { return strings.HasPrefix(name, deadPrefix) })
	if len(d.Message.Attributes) == 0 {
		d.Message.Attributes = nil
	}
	return d, nil
}

// readable makes text that every broker and store takes.
func readable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\uFFFD"), "\uFFFD")
}

// cut shortens text to limit bytes at rune boundaries. It keeps two thirds of the beginning and the rest of the
// end: a wrapped error has its operation first and its root cause last.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = " … "
	head := (limit - len(mark)) * 2 / 3
	tail := len(text) - (limit - len(mark) - head)
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + mark + text[tail:]
}
