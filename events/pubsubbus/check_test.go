package pubsubbus_test

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/pubsubbus"
	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/testenv"
)

// TestCheck spoils an installation and looks for each fault.
func TestCheck(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	d, err := pubsubbus.New(t.Context(), pubsubbus.Options{Endpoint: endpoint, Project: project, Prefix: "p-"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	find := func() map[string][]checkup.Finding {
		found := map[string][]checkup.Finding{}
		for _, f := range d.Check(t.Context()) {
			found[f.Subject] = append(found[f.Subject], f)
		}
		return found
	}
	empty := find()
	if n := len(events.Topics()) + 2*len(events.Subscriptions()) + 2; len(empty) != n { // all but one subscription have rights to check, and the topic; two quotas
		t.Errorf("%d subjects, want %d", len(empty), n)
	}
	for _, name := range []string{"topic p-dead-letters", "subscription p-statewriter"} {
		if f := empty[name]; len(f) != 1 || f[0].Status != checkup.Fail || f[0].Detail != "is not there" || f[0].Fix == "" {
			t.Errorf("%s of an empty project: %+v", name, f)
		}
	}

	if err := d.EnsureResources(t.Context()); err != nil {
		t.Fatal(err)
	}
	for subject, list := range find() {
		want := checkup.OK
		if strings.HasPrefix(subject, "dead-letter rights on ") {
			want = checkup.Skipped // the emulator has no policies
		}
		if len(list) != 1 || list[0].Status != want || list[0].Detail == "" {
			t.Errorf("as EnsureResources makes it: %+v", list)
		}
	}

	client, err := pubsub.NewClient(t.Context(), project, option.WithEndpoint(endpoint), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	replace := func(spoil *pubsubpb.Subscription) {
		t.Helper()
		if err := client.SubscriptionAdminClient.DeleteSubscription(t.Context(), &pubsubpb.DeleteSubscriptionRequest{Subscription: spoil.GetName()}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.SubscriptionAdminClient.CreateSubscription(t.Context(), spoil); err != nil {
			t.Fatal(err)
		}
	}
	full := func(kind, name string) string { return "projects/" + project + "/" + kind + "/p-" + name }
	replace(&pubsubpb.Subscription{
		Name: full("subscriptions", "statewriter"), Topic: full("topics", "state-mutations"), MessageRetentionDuration: durationpb.New(time.Hour),
		ExpirationPolicy: &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(48 * time.Hour)},
		RetryPolicy:      &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second), MaximumBackoff: durationpb.New(time.Minute)},
	})
	replace(&pubsubpb.Subscription{
		Name: full("subscriptions", "janitor"), Topic: full("topics", "sandbox-requests"), Filter: `attributes.x = "y"`,
		MessageRetentionDuration: durationpb.New(7 * 24 * time.Hour), ExpirationPolicy: &pubsubpb.ExpirationPolicy{},
		DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: full("topics", "dead-letters"), MaxDeliveryAttempts: 5},
		PushConfig:       &pubsubpb.PushConfig{PushEndpoint: "https://example.com/push"},
	})
	spoilt := find()
	for _, want := range []struct {
		subject string
		status  checkup.Status
		detail  string
		fix     string
	}{
		{"statewriter", checkup.Fail, "message ordering is false, want true", "delete it"},
		{"statewriter", checkup.Fail, "expires", "--expiration-period=never"},
		{"statewriter", checkup.Fail, "no dead-letter policy", "--dead-letter-topic=" + full("topics", "dead-letters")},
		{"statewriter", checkup.Warn, "keeps messages for 1h0m0s only", "--message-retention-duration=7d"},
		{"statewriter", checkup.Warn, "retry policy", "--clear-retry-policy"},
		{"janitor", checkup.Fail, "is of topic " + full("topics", "sandbox-requests"), "delete it"},
		{"janitor", checkup.Fail, "filter", "delete it"},
		{"janitor", checkup.Fail, "pushes to https://example.com/push", "--clear-push-config"},
		{"janitor", checkup.Warn, "after 5 deliveries, want 100", "--max-delivery-attempts=100"},
	} {
		ok := false
		for _, f := range spoilt["subscription p-"+want.subject] {
			ok = ok || f.Status == want.status && strings.Contains(f.Detail, want.detail) && strings.Contains(f.Fix, want.fix)
		}
		if !ok {
			t.Errorf("no %s about %s with %q: %+v", want.status, want.subject, want.detail, spoilt["subscription p-"+want.subject])
		}
	}
	if n := len(spoilt["subscription p-statewriter"]); n != 5 {
		t.Errorf("%d findings about statewriter, want 5", n)
	}
	if f := spoilt["subscription p-sandboxrunner"]; len(f) != 1 || f[0].Status != checkup.OK {
		t.Errorf("an untouched subscription: %+v", f)
	}
}
