package pubsubbus

import (
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/checkup"
)

func TestCheckPush(t *testing.T) {
	t.Parallel()
	d := &Driver{o: Options{Project: "p"}.withDefaults()}
	for name, c := range map[string]struct {
		spoil func(*pubsubpb.Subscription)
		want  string // status: text of detail or fix; one finding has it
	}{
		"as Terraform makes it": {func(*pubsubpb.Subscription) {}, "ok: "},
		"pulled":                {func(s *pubsubpb.Subscription) { s.PushConfig = nil }, "fail: is pulled"},
		"another path":          {func(s *pubsubpb.Subscription) { s.PushConfig.PushEndpoint = "https://x.run.app/push/parked" }, "fail: at /push/janitor"},
		"unwrapped": {func(s *pubsubpb.Subscription) {
			s.PushConfig.Wrapper = &pubsubpb.PushConfig_NoWrapper_{NoWrapper: &pubsubpb.PushConfig_NoWrapper{}}
		}, "fail: --clear-push-no-wrapper-config"},
		"no token":    {func(s *pubsubpb.Subscription) { s.PushConfig.AuthenticationMethod = nil }, "fail: --push-auth-service-account"},
		"no audience": {func(s *pubsubpb.Subscription) { s.PushConfig.GetOidcToken().Audience = "" }, "fail: --push-auth-token-audience"},
		"deadline":    {func(s *pubsubpb.Subscription) { s.AckDeadlineSeconds = 30 }, "warn: --ack-deadline=600"},
		"no policy":   {func(s *pubsubpb.Subscription) { s.RetryPolicy = nil }, "warn: --min-retry-delay=0.1s"},
	} {
		d.o.Push, d.o.PushURL = []string{"janitor"}, "https://x.run.app"
		s := d.subscription(events.Janitor)
		s.PushConfig.AuthenticationMethod = &pubsubpb.PushConfig_OidcToken_{
			OidcToken: &pubsubpb.PushConfig_OidcToken{ServiceAccountEmail: "push@p.iam.gserviceaccount.com", Audience: "a"},
		}
		c.spoil(s)
		f := checkup.About("subscription janitor")
		d.checkPush(f, events.Janitor, s, "update")
		got := f.Else("")
		status, text, _ := strings.Cut(c.want, ": ")
		if len(got) != 1 || string(got[0].Status) != status || !strings.Contains(got[0].Detail+"\n"+got[0].Fix, text) {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}
