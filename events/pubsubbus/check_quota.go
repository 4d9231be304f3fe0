package pubsubbus

import (
	"context"
	"errors"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/internal/checkup"
)

// maxPerProject is how many topics, and how many subscriptions, Pub/Sub allows in a project.
const maxPerProject = 10_000

// checkQuotas counts what all of the project has: another program can use up what is left.
func (d *Driver) checkQuotas(ctx context.Context) []checkup.Finding {
	project := "projects/" + d.o.Project
	topics := d.client.TopicAdminClient.ListTopics(ctx, &pubsubpb.ListTopicsRequest{Project: project, PageSize: 1000})
	subs := d.client.SubscriptionAdminClient.ListSubscriptions(ctx, &pubsubpb.ListSubscriptionsRequest{Project: project, PageSize: 1000})
	return append(
		quota("topics", func() error { _, err := topics.Next(); return err }),
		quota("subscriptions", func() error { _, err := subs.Next(); return err })...)
}

// quota counts until next is done.
func quota(things string, next func() error) []checkup.Finding {
	f := checkup.About(things + " of the project")
	for used := int64(0); ; used++ {
		switch err := next(); {
		case errors.Is(err, iterator.Done):
			f.Quota("delete what nobody uses, or move to another project: this limit cannot be raised", things, used, maxPerProject)
			return f.Else("%d of %d are used", used, maxPerProject)
		case status.Code(err) == codes.PermissionDenied:
			f.Skip("may not be listed by this account: it needs roles/pubsub.viewer")
			return f.Else("")
		case err != nil:
			f.Fail("", "cannot be listed: %v", status.Convert(err).Message())
			return f.Else("")
		}
	}
}
