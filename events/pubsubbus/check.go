package pubsubbus

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/checkup"
)

// terraform is what makes everything that is looked at here.
const terraform = "terraform apply in infra/gcp makes it"

// Check looks at every topic and subscription of Options, and at what is needed for Pub/Sub's own dead-lettering. It changes
// nothing. It needs permission to view Pub/Sub, and to view its policies for the rights of the service agent.
func (d *Driver) Check(ctx context.Context) []checkup.Finding {
	var found []checkup.Finding
	seen := map[string]bool{}
	topics := append(slices.Clone(d.o.Topics), events.DeadLetters)
	for _, sub := range d.o.Subscriptions {
		topics = append(topics, sub.Topic)
	}
	for _, topic := range topics {
		if !seen[topic.Name] {
			seen[topic.Name] = true
			found = append(found, d.checkTopic(ctx, topic)...)
		}
	}
	for _, sub := range d.o.Subscriptions {
		found = append(found, d.checkSubscription(ctx, sub)...)
	}
	found = append(found, d.checkForwarding(ctx)...)
	return append(found, d.checkQuotas(ctx)...)
}

func (d *Driver) checkTopic(ctx context.Context, topic events.Topic) []checkup.Finding {
	f := checkup.About("topic " + d.o.Prefix + topic.Name)
	got, err := d.client.TopicAdminClient.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: d.topicName(topic.Name)})
	if err != nil {
		missing(f, err)
		return f.Else("")
	}
	settings := got.GetSchemaSettings()
	switch {
	case topic.Schema == "" && settings.GetSchema() != "":
		f.Fail("gcloud pubsub topics update "+got.GetName()+" --clear-schema-settings",
			"has the schema %s: dead letters and ticks must be taken as they are", settings.GetSchema())
	case topic.Schema == "" || d.o.Endpoint != "": // the emulator has no protocol buffer schemas
	case settings.GetSchema() == "":
		f.Warn(terraform, "has no schema: payloads are checked by the publishers of this platform only")
	case settings.GetEncoding() != pubsubpb.Encoding_JSON:
		f.Fail(terraform, "its schema has encoding %s, messages are JSON", settings.GetEncoding())
	}
	return f.Else("is there")
}

func (d *Driver) checkSubscription(ctx context.Context, sub events.Subscription) []checkup.Finding {
	f := checkup.About("subscription " + d.o.Prefix + sub.Name)
	want := d.subscription(sub)
	got, err := d.client.SubscriptionAdminClient.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: want.GetName()})
	if err != nil {
		missing(f, err)
		return f.Else("")
	}
	update := "gcloud pubsub subscriptions update " + want.GetName()
	again := "delete it when it is drained, then " + terraform
	if got.GetTopic() != want.GetTopic() {
		f.Fail(again, "is of topic %s, want %s", got.GetTopic(), want.GetTopic())
	}
	if got.GetEnableMessageOrdering() != want.GetEnableMessageOrdering() {
		f.Fail(again, "message ordering is %t, want %t; it cannot be changed", got.GetEnableMessageOrdering(), want.GetEnableMessageOrdering())
	}
	if got.GetExpirationPolicy() == nil || got.GetExpirationPolicy().GetTtl() != nil {
		f.Fail(update+" --expiration-period=never", "expires: Pub/Sub deletes it, with its messages, after some idle days")
	}
	if kept := got.GetMessageRetentionDuration().AsDuration(); kept < retention {
		f.Warn(update+" --message-retention-duration=7d", "keeps messages for %s only, want %s: an outage that lasts longer loses them", kept, retention)
	}
	if got.GetFilter() != "" {
		f.Fail(again, "has the filter %q: what does not pass is lost", got.GetFilter())
	}
	pushed := slices.Contains(d.o.Push, sub.Name)
	if pushed {
		d.checkPush(f, sub, got, update)
	} else if got.GetPushConfig().GetPushEndpoint() != "" {
		f.Fail(update+" --clear-push-config, or name it in PUSH_CONSUMERS", "pushes to %s: its consumer pulls", got.GetPushConfig().GetPushEndpoint())
	}
	if got.GetDetached() {
		f.Fail(again, "is detached from its topic")
	}
	if got.GetState() == pubsubpb.Subscription_RESOURCE_ERROR {
		f.Fail("see the state of its push or export target", "is in state RESOURCE_ERROR")
	}
	if got.GetEnableExactlyOnceDelivery() {
		f.Warn(update+" --no-enable-exactly-once-delivery", "delivers exactly once: that costs latency, and its consumer is idempotent all the same")
	}
	if got.GetRetryPolicy() != nil && !pushed {
		f.Warn(update+" --clear-retry-policy", "has a retry policy: what a drain gives back waits for it")
	}
	if wanted := want.GetDeadLetterPolicy(); wanted != nil {
		has := got.GetDeadLetterPolicy()
		fix := update + " --dead-letter-topic=" + wanted.GetDeadLetterTopic() + " --max-delivery-attempts=100"
		switch {
		case has == nil:
			f.Fail(fix, "has no dead-letter policy: a message that kills its consumers does so for ever")
		case has.GetDeadLetterTopic() != wanted.GetDeadLetterTopic():
			f.Fail(fix, "gives up to %s, want %s", has.GetDeadLetterTopic(), wanted.GetDeadLetterTopic())
		case has.GetMaxDeliveryAttempts() < wanted.GetMaxDeliveryAttempts():
			f.Warn(fix, "gives up after %d deliveries, want %d: rolling restarts count as well", has.GetMaxDeliveryAttempts(), wanted.GetMaxDeliveryAttempts())
		}
	}
	return f.Else("never expires, keeps %s, ordered %t, %s", got.GetMessageRetentionDuration().AsDuration(), got.GetEnableMessageOrdering(),
		map[bool]string{true: "pushed", false: "pulled"}[pushed])
}

// checkPush looks at what only a pushed subscription has.
func (d *Driver) checkPush(f *checkup.Findings, sub events.Subscription, got *pubsubpb.Subscription, update string) {
	push, path := got.GetPushConfig(), "/push/"+sub.Name
	deadline := time.Duration(got.GetAckDeadlineSeconds()) * time.Second
	switch {
	case push.GetPushEndpoint() == "":
		f.Fail(terraform+", or take it out of PUSH_CONSUMERS", "is pulled: its consumer waits for pushes")
		return
	case !strings.HasSuffix(push.GetPushEndpoint(), path):
		f.Fail(update+" --push-endpoint=https://…"+path, "pushes to %s, its consumer is at %s", push.GetPushEndpoint(), path)
	}
	if push.GetNoWrapper() != nil {
		f.Fail(update+" --clear-push-no-wrapper-config", "pushes unwrapped: its consumer refuses that")
	}
	if token := push.GetOidcToken(); d.o.Endpoint == "" && (token.GetServiceAccountEmail() == "" || token.GetAudience() == "") {
		f.Fail(update+" --push-auth-service-account=… --push-auth-token-audience=…", "pushes without a token of an account for an audience: its consumer refuses that")
	}
	if deadline != d.o.PushDeadline {
		f.Warn(update+" --ack-deadline="+strconv.Itoa(int(d.o.PushDeadline/time.Second)), "has an ack deadline of %s, PUSH_DEADLINE is %s", deadline, d.o.PushDeadline)
	}
	if got.GetRetryPolicy() == nil {
		f.Warn(update+" --min-retry-delay=0.1s --max-retry-delay=60s", "has no retry policy: what is refused comes again at once")
	}
}

// missing says why a resource could not be read.
func missing(f *checkup.Findings, err error) {
	switch status.Code(err) {
	case codes.NotFound:
		f.Fail(terraform, "is not there")
	case codes.PermissionDenied:
		f.Skip("may not be viewed by this account: it needs roles/pubsub.viewer")
	default:
		f.Fail("", "cannot be read: %v", status.Convert(err).Message())
	}
}

// agent is Pub/Sub's own account of a project.
var agent = regexp.MustCompile(`^serviceAccount:service-\d+@gcp-sa-pubsub\.iam\.gserviceaccount\.com$`)

// checkForwarding looks for the rights of Pub/Sub's service agent, without which its dead-lettering fails in silence.
func (d *Driver) checkForwarding(ctx context.Context) []checkup.Finding {
	type resource struct {
		name, role, fix string
		policy          func() (*iampb.Policy, error)
	}
	topic := d.topicName(events.DeadLetters.Name)
	resources := []resource{{
		"topic " + d.o.Prefix + events.DeadLetters.Name, "roles/pubsub.publisher", "gcloud pubsub topics add-iam-policy-binding " + topic,
		func() (*iampb.Policy, error) {
			return d.client.TopicAdminClient.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: topic})
		},
	}}
	for _, sub := range d.o.Subscriptions {
		if sub.Topic.Name == events.DeadLetters.Name {
			continue
		}
		name := d.subscriptionName(sub.Name)
		resources = append(resources, resource{
			"subscription " + d.o.Prefix + sub.Name, "roles/pubsub.subscriber", "gcloud pubsub subscriptions add-iam-policy-binding " + name,
			func() (*iampb.Policy, error) {
				return d.client.SubscriptionAdminClient.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: name})
			},
		})
	}
	var found []checkup.Finding
	for _, r := range resources {
		f := checkup.About("dead-letter rights on " + r.name)
		policy, err := r.policy()
		switch code := status.Code(err); {
		case code == codes.Unimplemented, err != nil && d.o.Endpoint != "":
			f.Skip("this Pub/Sub has no policies: it is an emulator")
		case code == codes.NotFound:
			f.Skip("is not there")
		case code == codes.PermissionDenied:
			f.Skip("its policy may not be viewed by this account: it needs pubsub.*.getIamPolicy")
		case err != nil:
			f.Fail("", "its policy cannot be read: %v", status.Convert(err).Message())
		case !granted(policy, r.role):
			f.Warn(r.fix+" --member=serviceAccount:service-PROJECT_NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com --role="+r.role,
				"the service agent of Pub/Sub has no %s here: unless the project grants it, dead-lettering fails in silence", r.role)
		}
		found = append(found, f.Else("the service agent of Pub/Sub has %s", r.role)...)
	}
	return found
}

// granted reports whether a policy gives the service agent a role, or one that holds it.
func granted(policy *iampb.Policy, role string) bool {
	for _, b := range policy.GetBindings() {
		if b.GetRole() != role && b.GetRole() != "roles/pubsub.editor" && b.GetRole() != "roles/pubsub.admin" {
			continue
		}
		if slices.ContainsFunc(b.GetMembers(), agent.MatchString) {
			return true
		}
	}
	return false
}
