package eventstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vibesdk-gcp/events"
)

func everyMessageIsHandled(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic)
	p, j := w.process(sub), newJournal()
	p.consume(sub, j.handle)
	const publishers, each = 8, 25
	var wg sync.WaitGroup
	for n := range publishers {
		wg.Go(func() {
			for _, m := range unkeyed(fmt.Sprint("publisher", n), each) {
				if err := p.Publish(context.Background(), topic, m); err != nil {
					w.Errorf("Publish %s: %v", m.ID, err)
				}
			}
		})
	}
	wg.Wait()
	j.awaitIDs(w, publishers*each)
}

func envelopeArrivesAsPublished(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic)
	p, j := w.process(sub), newJournal()
	p.consume(sub, j.handle)
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	want := events.Message{
		ID: "id-é-日本-🙂", Type: "test.own.v1", Source: "a/source", Time: time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC),
		Key: "clé-日本", Data: binary, Attributes: map[string]string{"empty": "", "text": "häuser 🙂 \"quoted\"\n"}, Attempt: 1,
	}
	p.publish(topic, want)
	j.awaitIDs(w, 1)
	if diff := cmp.Diff(want, j.entries()[0], cmpopts.EquateEmpty()); diff != "" {
		w.Errorf("message differs (-published +delivered):\n%s", diff)
	}

	before := time.Now().Add(-time.Second)
	p.publish(topic, events.Message{Key: "filled"})
	j.awaitIDs(w, 2)
	m := j.entries()[1]
	if m.ID == "" || m.Type != topic.Type || m.Source != "eventstest" || m.Time.Before(before) || len(m.Data) != 0 {
		w.Errorf("filled envelope: got %+v", m)
	}
}

func largestMessageArrives(w *world) {
	for _, ordered := range []bool{false, true} {
		topic := w.topic(ordered)
		sub := w.sub(topic)
		p, j := w.process(sub), newJournal()
		p.consume(sub, j.handle)
		m := events.Message{ID: "large", Data: make([]byte, events.MaxData)}
		if ordered {
			m.Key = "k"
		}
		random := rand.NewChaCha8([32]byte{1})
		_, _ = random.Read(m.Data) // never fails
		p.publish(topic, m)
		j.awaitIDs(w, 1)
		if !bytes.Equal(j.entries()[0].Data, m.Data) {
			w.Errorf("ordered=%t: the payload of %d bytes arrived changed", ordered, len(m.Data))
		}
		p.stop()
	}
}

func topicsAreIsolated(w *world) {
	a, b := w.topic(false), w.topic(true)
	subA, subB := w.sub(a), w.sub(b)
	p, ja, jb := w.process(subA, subB), newJournal(), newJournal()
	p.consume(subA, ja.handle)
	p.consume(subB, jb.handle)
	p.publish(a, unkeyed("a", 5)...)
	p.publish(b, numbered("b", 0, 5)...)
	ja.awaitIDs(w, 5)
	jb.awaitIDs(w, 5)
	ja.quiet(w, 5)
	jb.quiet(w, 5)
}

func everySubscriptionGetsEveryMessage(w *world) {
	topic := w.topic(true)
	subs := []events.Subscription{w.sub(topic), w.sub(topic)}
	p := w.process(subs...)
	p.publish(topic, numbered("k", 0, 10)...)
	for _, sub := range subs {
		j := newJournal()
		p.consume(sub, j.handle)
		j.awaitIDs(w, 10)
	}
}

func invalidPublishChangesNothing(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic)
	p, j := w.process(sub), newJournal()
	p.consume(sub, j.handle)
	good := events.Message{ID: "good", Key: "k"}
	err := p.Publish(context.Background(), topic, good,
		events.Message{ID: "keyless"},
		events.Message{ID: "large", Key: "k", Data: make([]byte, events.MaxData+1)})
	if !errors.Is(err, events.ErrInvalid) {
		w.Fatalf("Publish: got %v, want ErrInvalid", err)
	}
	p.publish(topic, events.Message{ID: "last", Key: "k"})
	j.awaitIDs(w, 1)
	if diff := cmp.Diff([]string{"last"}, j.ids("")); diff != "" {
		w.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func endedContextFailsPublish(w *world) {
	topic := w.topic(false)
	p := w.process(w.sub(topic))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Publish(ctx, topic, events.Message{}); !errors.Is(err, context.Canceled) {
		w.Errorf("Publish: got %v, want context.Canceled", err)
	}
}

func notBeforeHoldsDeliveryBack(w *world) {
	for _, ordered := range []bool{false, true} {
		topic := w.topic(ordered)
		sub := w.sub(topic)
		p, j := w.process(sub), newJournal()
		p.consume(sub, func(_ context.Context, m events.Message) error {
			if time.Now().Before(m.NotBefore) {
				w.Errorf("ordered=%t: %s came before it was due", ordered, m.ID)
			}
			j.add(m)
			return nil
		})
		later, now := events.Message{ID: "later", NotBefore: time.Now().Add(time.Second)}, events.Message{ID: "now"}
		if ordered {
			later.Key, now.Key = "a", "b"
		}
		p.publish(topic, later, now)
		j.awaitIDs(w, 2)
		p.stop()
		if diff := cmp.Diff([]string{"now", "later"}, j.ids("")); diff != "" {
			w.Errorf("ordered=%t: order (-want +got):\n%s", ordered, diff)
		}
	}
}

func laterConsumerFindsEarlierMessages(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic)
	first := w.process(sub)
	first.publish(topic, unkeyed("m", 20)...)
	first.stop()
	second, j := w.process(sub), newJournal()
	second.consume(sub, j.handle)
	j.awaitIDs(w, 20)
}

func closeTwiceIsNil(w *world) {
	topic := w.topic(false)
	driver := w.open(w, w.sub(topic))
	for range 2 {
		if err := driver.Close(); err != nil {
			w.Errorf("driver Close: %v", err)
		}
	}
	p := w.process()
	p.stop()
	if err := p.Close(); err != nil {
		w.Errorf("bus Close again: %v", err)
	}
	if err := p.Publish(context.Background(), topic, events.Message{}); !errors.Is(err, events.ErrClosed) {
		w.Errorf("Publish after Close: got %v, want ErrClosed", err)
	}
	if err := p.Consume(context.Background(), w.sub(topic), newJournal().handle); !errors.Is(err, events.ErrClosed) {
		w.Errorf("Consume after Close: got %v, want ErrClosed", err)
	}
}
