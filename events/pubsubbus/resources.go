package pubsubbus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"vibesdk-gcp/events"
)

const (
	// maxDeliveryAttempts is the most that Pub/Sub takes: the bus parks a message, with the reason, long before, so
	// this only ends what kills every consumer that sees it.
	maxDeliveryAttempts = 100
	// retention is how long a message waits for a consumer: the longest that Pub/Sub takes without topic retention.
	retention = 7 * 24 * time.Hour
	// pushMinBackoff and pushMaxBackoff bound what Pub/Sub waits after an answer other than 2xx: what it means then is a consumer that
	// begins, ends or is full, and that is over soon.
	pushMinBackoff, pushMaxBackoff = 100 * time.Millisecond, time.Minute
)

// EnsureResources makes the topics, schemas and subscriptions of Options that do not exist. Existing ones stay
// as they are, but for where they push to. A subscription whose topic or ordering differs is an error, because neither can be
// changed: the bus would lose messages or their order. Calls may run side by side.
//
// It is for the emulator and for trying things out. On a real project Terraform makes them, and with them the
// permissions that dead-lettering needs: without those it fails in silence.
func (d *Driver) EnsureResources(ctx context.Context) error {
	var faults []error
	topics := map[string]events.Topic{events.DeadLetters.Name: events.DeadLetters}
	for _, topic := range d.o.Topics {
		topics[topic.Name] = topic
	}
	for _, sub := range d.o.Subscriptions {
		topics[sub.Topic.Name] = sub.Topic
	}
	for _, topic := range topics {
		if err := d.ensureTopic(ctx, topic); err != nil {
			faults = append(faults, fmt.Errorf("topic %s: %w", topic.Name, err))
		}
	}
	if len(faults) == 0 {
		for _, sub := range d.o.Subscriptions {
			if err := d.ensureSubscription(ctx, sub); err != nil {
				faults = append(faults, fmt.Errorf("subscription %s: %w", sub.Name, err))
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("pubsub: %w", err)
	}
	return nil
}

func (d *Driver) ensureTopic(ctx context.Context, topic events.Topic) error {
	want := &pubsubpb.Topic{Name: d.topicName(topic.Name)}
	if topic.Schema != "" && d.o.Schemas != nil {
		name, err := d.ensureSchema(ctx, topic.Schema)
		switch {
		case isUnimplemented(err):
			// The emulator has no protocol buffer schemas. Publishers check payloads by the same rules.
		case err != nil:
			return fmt.Errorf("schema %s: %w", topic.Schema, err)
		default:
			want.SchemaSettings = &pubsubpb.SchemaSettings{Schema: name, Encoding: pubsubpb.Encoding_JSON}
		}
	}
	if _, err := d.client.TopicAdminClient.CreateTopic(ctx, want); err != nil && !isAlreadyExists(err) {
		return err
	}
	return nil
}

func (d *Driver) ensureSchema(ctx context.Context, file string) (name string, err error) {
	source, err := fs.ReadFile(d.o.Schemas, file)
	if err != nil {
		return "", err
	}
	id := d.o.Prefix + strings.ReplaceAll(strings.TrimSuffix(path.Base(file), path.Ext(file)), "_", "-")
	_, err = d.schemas.CreateSchema(ctx, &pubsubpb.CreateSchemaRequest{
		Parent: "projects/" + d.o.Project, SchemaId: id,
		Schema: &pubsubpb.Schema{Type: pubsubpb.Schema_PROTOCOL_BUFFER, Definition: string(source)},
	})
	if err != nil && !isAlreadyExists(err) {
		return "", err
	}
	return "projects/" + d.o.Project + "/schemas/" + id, nil
}

func (d *Driver) ensureSubscription(ctx context.Context, sub events.Subscription) error {
	want := d.subscription(sub)
	_, err := d.client.SubscriptionAdminClient.CreateSubscription(ctx, want)
	if !isAlreadyExists(err) {
		return err
	}
	got, err := d.client.SubscriptionAdminClient.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: want.GetName()})
	if err != nil {
		return err
	}
	if got.GetTopic() != want.GetTopic() {
		return fmt.Errorf("topic is %s, want %s: delete the subscription when it is drained", got.GetTopic(), want.GetTopic())
	}
	if got.GetEnableMessageOrdering() != want.GetEnableMessageOrdering() {
		return fmt.Errorf("message ordering is %t, want %t: delete the subscription when it is drained",
			got.GetEnableMessageOrdering(), want.GetEnableMessageOrdering())
	}
	if got.GetPushConfig().GetPushEndpoint() == want.GetPushConfig().GetPushEndpoint() {
		return nil
	}
	push := want.GetPushConfig()
	if push == nil {
		push = &pubsubpb.PushConfig{}
	}
	return d.client.SubscriptionAdminClient.ModifyPushConfig(ctx, &pubsubpb.ModifyPushConfigRequest{Subscription: want.GetName(), PushConfig: push})
}

// subscription gives the settings of a subscription. The package comment says why each is as it is.
func (d *Driver) subscription(sub events.Subscription) *pubsubpb.Subscription {
	want := &pubsubpb.Subscription{
		Name:                     d.subscriptionName(sub.Name),
		Topic:                    d.topicName(sub.Topic.Name),
		AckDeadlineSeconds:       int32(d.o.Lease / time.Second),
		EnableMessageOrdering:    sub.Topic.Ordered,
		MessageRetentionDuration: durationpb.New(retention),
		ExpirationPolicy:         &pubsubpb.ExpirationPolicy{}, // no ttl: never
	}
	if sub.Topic.Name != events.DeadLetters.Name {
		want.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{
			DeadLetterTopic:     d.topicName(events.DeadLetters.Name),
			MaxDeliveryAttempts: maxDeliveryAttempts,
		}
	}
	if slices.Contains(d.o.Push, sub.Name) {
		want.AckDeadlineSeconds = int32(d.o.PushDeadline / time.Second)
		want.RetryPolicy = &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(pushMinBackoff), MaximumBackoff: durationpb.New(pushMaxBackoff)}
		want.PushConfig = &pubsubpb.PushConfig{PushEndpoint: strings.TrimSuffix(d.o.PushURL, "/") + "/push/" + sub.Name}
	}
	return want
}
