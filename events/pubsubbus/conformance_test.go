package pubsubbus_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/eventstest"
	"vibesdk-gcp/events/pubsubbus"
	"vibesdk-gcp/internal/testenv"
)

func TestConformanceEmulator(t *testing.T) {
	t.Parallel()
	testenv.PubSub(t) // skips here, with the reason, rather than in every case
	eventstest.Run(t, onEmulator, eventstest.Features{Patience: 60 * time.Second})
}

// onEmulator gives each case a project of its own, and each driver a connection of its own, as a process has.
func onEmulator(t testing.TB) eventstest.Opener {
	endpoint, project := testenv.PubSub(t)
	return func(t testing.TB, subs ...events.Subscription) events.Driver {
		t.Helper()
		if !slices.ContainsFunc(subs, func(s events.Subscription) bool { return s.Name == events.Parked.Name }) {
			subs = append(slices.Clone(subs), events.Parked)
		}
		d, err := pubsubbus.New(context.Background(), pubsubbus.Options{
			Project: project, Endpoint: endpoint, Prefix: "it-",
			Topics: []events.Topic{}, Subscriptions: subs, Lease: 10 * time.Second,
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		if err := d.EnsureResources(context.Background()); err != nil {
			t.Fatalf("EnsureResources: %v", err)
		}
		return d
	}
}
