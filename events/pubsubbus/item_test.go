package pubsubbus

import (
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vibesdk-gcp/events"
)

func TestCopyKeepsTheEnvelope(t *testing.T) {
	t.Parallel()
	want := events.Message{
		ID: "id", Type: "type", Source: "source", Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		NotBefore: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), Data: []byte("data"), Attributes: map[string]string{"mine": "kept"},
	}
	it, mine := new(Driver).newItem(&pubsub.Message{ID: "1", Data: want.Data, Attributes: events.EncodeAttributes(want)}, "sub")
	if !mine || it.due != want.NotBefore {
		t.Fatalf("mine %t, due %s, want %s", mine, it.due, want.NotBefore)
	}
	for attempt := 1; attempt <= 3; attempt++ {
		want.Attempt = attempt
		if diff := cmp.Diff(want, it.handout(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("attempt %d (-want +got):\n%s", attempt, diff)
		}
		it.apply(events.Verdict{Failed: true, After: time.Hour})
		due := it.due
		sent := it.copy("sub")
		sent.ID = "another"
		if _, mine := new(Driver).newItem(sent, "other"); mine {
			t.Error("the copy is taken by another subscription")
		}
		if it, mine = new(Driver).newItem(sent, "sub"); !mine || !it.due.Equal(due) || it.changed {
			t.Fatalf("the copy: mine %t, due %s, want %s", mine, it.due, due)
		}
	}
	it.apply(events.Verdict{})
	if it.failed != 3 || it.changed {
		t.Errorf("a verdict that says nothing changed the message: %+v", it)
	}
}

// TestMessageOfAStranger is one published with gcloud: the copy must keep the id that was handed out before.
func TestMessageOfAStranger(t *testing.T) {
	t.Parallel()
	it, _ := new(Driver).newItem(&pubsub.Message{ID: "broker id", Data: []byte("{}")}, "sub")
	sent := it.copy("sub")
	sent.ID = "another"
	again, _ := new(Driver).newItem(sent, "sub")
	if got := again.handout().ID; got != "broker id" {
		t.Errorf("id of the copy is %q", got)
	}
}

func TestDeliveriesCountAsAttempts(t *testing.T) {
	t.Parallel()
	for deliveries, want := range map[int]int{0: 1, 1: 1, 4: 1, 5: 2, 8: 2, 9: 3, 81: 21} {
		m := &pubsub.Message{ID: "1"}
		if deliveries > 0 {
			m.DeliveryAttempt = &deliveries
		}
		it, _ := new(Driver).newItem(m, "sub")
		if got := it.handout().Attempt; got != want {
			t.Errorf("%d deliveries are attempt %d, want %d", deliveries, got, want)
		}
	}
	if last := 1 + deliveriesPerAttempt*20; last > maxDeliveryAttempts {
		t.Errorf("the bus parks at delivery %d, after the broker does at %d", last, maxDeliveryAttempts)
	}
}

// TestGivenUpByPubSub: a message that the service moved by itself is a dead letter like those of the bus.
func TestGivenUpByPubSub(t *testing.T) {
	t.Parallel()
	d := &Driver{o: Options{Prefix: "it-", Subscriptions: []events.Subscription{events.StateWriter, events.SandboxRunner}}}
	moved := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	original := events.Message{
		ID: "event id", Type: "t", Source: "s", Time: moved.Add(-time.Hour), Data: []byte("{}"), Attributes: map[string]string{"mine": "1"},
	}
	dead := func(m events.Message, source, key string, more map[string]string) *pubsub.Message {
		attrs := events.EncodeAttributes(m)
		for name, value := range map[string]string{
			deadSubscription: source, deadPrefix + "SubscriptionProject": "p", deadDeliveries: "100", deadPrefix + "TopicPublishTime": "then",
		} {
			attrs[name] = value
		}
		for name, value := range more {
			attrs[name] = value
		}
		return &pubsub.Message{ID: "broker's", Data: m.Data, OrderingKey: key, PublishTime: moved, Attributes: attrs}
	}
	read := func(m *pubsub.Message) events.DeadLetter {
		t.Helper()
		it, mine := d.newItem(m, "parked")
		if !mine {
			t.Fatal("taken for somebody else's")
		}
		if !it.due.IsZero() || it.failed != 0 || it.event.Key != "" {
			t.Errorf("a dead letter waits until %s, after %d attempts, in key %q", it.due, it.failed, it.event.Key)
		}
		letter, err := events.ParseDeadLetter(it.event)
		if err != nil {
			t.Fatal(err)
		}
		return letter
	}

	want := events.DeadLetter{
		Message: original, Topic: "state-mutations", Subscription: "statewriter", Attempts: 100, ParkedAt: moved,
		Reason: "Pub/Sub gave it up after 100 deliveries without an acknowledgement: its consumers died or never settled it",
	}
	want.Message.Key = "session"
	if diff := cmp.Diff(want, read(dead(original, "it-statewriter", "session", nil))); diff != "" {
		t.Errorf("keyed (-want +got):\n%s", diff)
	}

	// A copy that waited for its consumer: it is that consumer's message, and must not be taken for a stranger's.
	want.Message.Key, want.Topic, want.Subscription = "", "sandbox-requests", "sandboxrunner"
	waits := map[string]string{copyConsumer: "sandboxrunner", copyAttempts: "7", copyNotBefore: moved.Add(time.Hour).Format(time.RFC3339)}
	if diff := cmp.Diff(want, read(dead(original, "it-sandboxrunner", "", waits))); diff != "" {
		t.Errorf("copy (-want +got):\n%s", diff)
	}
	if _, mine := d.newItem(dead(original, "it-other", "", waits), "parked"); mine {
		t.Error("a copy that another subscription never acknowledged is somebody's dead letter")
	}

	// From gcloud, and of a subscription that is not in the table.
	bare := dead(events.Message{}, "it-unknown", "", nil)
	for _, name := range []string{"ce-id", "ce-type", "ce-source", "ce-time", "ce-specversion"} {
		delete(bare.Attributes, name)
	}
	if got, err := d.newItem(bare, "parked"); !err {
		t.Error("not taken")
	} else if got.event.ID != "broker's" || got.event.Attributes["dead-letter-subscription"] != "unknown" {
		t.Errorf("bare message became %+v", got.event)
	}
}
