package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"vibesdk-gcp/events"
)

// TestDefaultsMatchTheBus asks the bus what it makes of a subscription, by looking at what a driver gets.
func TestDefaultsMatchTheBus(t *testing.T) {
	t.Parallel()
	for _, sub := range append(events.Subscriptions(), events.Subscription{Name: "slow", Topic: events.CleanupTicks, MinBackoff: time.Hour}) {
		ctx, cancel := context.WithCancel(t.Context())
		spy := &spyDriver{stop: cancel}
		bus := events.New(spy, events.Options{Source: "test", Logger: slog.New(slog.DiscardHandler)})
		if err := bus.Consume(ctx, sub, func(context.Context, events.Message) error { return nil }); err != nil {
			t.Fatal(err)
		}
		ours := withDefaults(sub)
		got := []any{ours.Attempts, ours.AttemptTimeout, ours.MinBackoff, ours.MaxBackoff}
		want := []any{spy.got.Attempts, spy.got.AttemptTimeout, spy.got.MinBackoff, spy.got.MaxBackoff}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-bus +schemagen)\n%s", sub.Name, diff)
		}
	}
}

// spyDriver keeps the subscription that it is asked to receive, and ends the consumer.
type spyDriver struct {
	stop context.CancelFunc
	got  events.Subscription
}

func (d *spyDriver) Receive(_ context.Context, sub events.Subscription, _ events.HandleFunc) error {
	d.got = sub
	d.stop()
	return nil
}
func (*spyDriver) Publish(context.Context, events.Topic, []events.Message) error { return nil }
func (*spyDriver) Close() error                                                  { return nil }

func TestSubscriptionRow(t *testing.T) {
	t.Parallel()
	topic := events.Topic{Name: "t", Ordered: true}
	for name, test := range map[string]struct {
		sub  events.Subscription
		want subscriptionRow
	}{
		"given": {
			events.Subscription{Topic: topic, Attempts: 7, AttemptTimeout: 90500 * time.Millisecond, MinBackoff: 250 * time.Millisecond, MaxBackoff: 90 * time.Second},
			subscriptionRow{Topic: "t", Ordered: true, DeadLetterTopic: "dead-letters", Attempts: 7, AckDeadlineSeconds: 91, MinimumBackoff: "0.25s", MaximumBackoff: "90s"},
		},
		"below what Pub/Sub takes": {
			events.Subscription{Topic: topic, AttemptTimeout: time.Second},
			subscriptionRow{Topic: "t", Ordered: true, DeadLetterTopic: "dead-letters", Attempts: 20, AckDeadlineSeconds: 10, MinimumBackoff: "0.1s", MaximumBackoff: "60s"},
		},
		"above": {
			events.Subscription{Topic: topic, AttemptTimeout: time.Hour, MaxBackoff: time.Hour},
			subscriptionRow{Topic: "t", Ordered: true, DeadLetterTopic: "dead-letters", Attempts: 20, AckDeadlineSeconds: 600, MinimumBackoff: "0.1s", MaximumBackoff: "600s"},
		},
		"dead letters have no dead letters": {
			events.Subscription{Topic: events.DeadLetters},
			subscriptionRow{Topic: "dead-letters", Attempts: 20, AckDeadlineSeconds: 30, MinimumBackoff: "0.1s", MaximumBackoff: "60s"},
		},
	} {
		if diff := cmp.Diff(test.want, subscriptionOf(test.sub)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// TestTopicsNeedTheirSchemas leaves the schema files of the topic table out.
func TestTopicsNeedTheirSchemas(t *testing.T) {
	t.Parallel()
	_, err := topicsJSON([]*descriptorpb.FileDescriptorProto{{Name: proto.String("sandbox_request.proto")}})
	if err == nil || !strings.Contains(err.Error(), "state_mutation.proto is not in schemas/") || strings.Contains(err.Error(), "sandbox_request.proto") {
		t.Errorf("got %v", err)
	}
}
