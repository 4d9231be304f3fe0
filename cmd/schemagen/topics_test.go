package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"vibesdk-gcp/events"
)

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
