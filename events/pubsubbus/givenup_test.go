package pubsubbus_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/pubsubbus"
	"vibesdk-gcp/internal/testenv"
)

// TestPubSubGivesUp lets a message come a hundred times to a consumer that never settles it: the broker moves it to the dead
// letters by itself, under an id of its own, and the bus finds its own id again.
func TestPubSubGivesUp(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	sub := events.Subscription{Name: "deadly", Topic: unordered}
	quiet := slog.New(slog.DiscardHandler)
	bus := events.New(openEmulator(t, pubsubbus.Options{Endpoint: endpoint, Project: project, Logger: quiet}, sub), events.Options{Source: "test", Logger: quiet})
	t.Cleanup(func() {
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
	m := events.Message{
		ID: "our own id", Type: "test.v1", Source: "test", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Data: []byte("deadly"), Attributes: map[string]string{"mine": "kept"},
	}
	publish(t, bus, unordered, m)

	client, err := pubsub.NewClient(t.Context(), project, option.WithEndpoint(endpoint), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	name := "projects/" + project + "/subscriptions/it-deadly"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var nacking sync.WaitGroup
	nacking.Go(func() { // to the end: the broker moves a message when it would deliver it once more
		for ctx.Err() == nil {
			got, err := client.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: name, MaxMessages: 1})
			for _, r := range got.GetReceivedMessages() {
				err = client.SubscriptionAdminClient.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: name, AckIds: []string{r.GetAckId()}})
			}
			if err != nil && ctx.Err() == nil {
				t.Errorf("nack: %v", err)
			}
		}
	})

	letters := make(chan events.DeadLetter, 10)
	go func() {
		if err := bus.Consume(ctx, events.Parked, func(_ context.Context, m events.Message) error {
			d, err := events.ParseDeadLetter(m)
			if err != nil {
				t.Error(err)
			}
			letters <- d
			return nil
		}); err != nil {
			t.Error(err)
		}
		close(letters)
	}()
	d := <-letters
	cancel()
	nacking.Wait()
	for range letters { // until the consumer has drained
	}
	want := events.DeadLetter{
		Message: m, Topic: unordered.Name, Subscription: "deadly", Attempts: 100,
		Reason: "Pub/Sub gave it up after 100 deliveries without an acknowledgement: its consumers died or never settled it",
	}
	if diff := cmp.Diff(want, d, cmpopts.IgnoreFields(events.DeadLetter{}, "ParkedAt")); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
	if d.ParkedAt.IsZero() || time.Since(d.ParkedAt) > time.Hour {
		t.Errorf("given up at %s", d.ParkedAt)
	}
}
