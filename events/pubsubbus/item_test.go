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
	it, mine := newItem(&pubsub.Message{ID: "1", Data: want.Data, Attributes: events.EncodeAttributes(want)}, "sub")
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
		if _, mine := newItem(sent, "other"); mine {
			t.Error("the copy is taken by another subscription")
		}
		if it, mine = newItem(sent, "sub"); !mine || !it.due.Equal(due) || it.changed {
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
	it, _ := newItem(&pubsub.Message{ID: "broker id", Data: []byte("{}")}, "sub")
	sent := it.copy("sub")
	sent.ID = "another"
	again, _ := newItem(sent, "sub")
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
		it, _ := newItem(m, "sub")
		if got := it.handout().Attempt; got != want {
			t.Errorf("%d deliveries are attempt %d, want %d", deliveries, got, want)
		}
	}
	if last := 1 + deliveriesPerAttempt*20; last > maxDeliveryAttempts {
		t.Errorf("the bus parks at delivery %d, after the broker does at %d", last, maxDeliveryAttempts)
	}
}
