package pubsubbus

import (
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
)

func TestGranted(t *testing.T) {
	t.Parallel()
	const ours = "serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com"
	bind := func(role string, members ...string) *iampb.Policy {
		return &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/viewer", Members: []string{ours}}, {Role: role, Members: members}}}
	}
	for name, c := range map[string]struct {
		policy *iampb.Policy
		want   bool
	}{
		"granted":        {bind("roles/pubsub.publisher", "user:a@example.com", ours), true},
		"by a wider one": {bind("roles/pubsub.editor", ours), true},
		"other role":     {bind("roles/pubsub.subscriber", ours), false},
		"other member":   {bind("roles/pubsub.publisher", "serviceAccount:service-x@gcp-sa-pubsub.iam.gserviceaccount.com.evil"), false},
		"nobody":         {bind("roles/pubsub.publisher"), false},
		"no policy":      {nil, false},
	} {
		if got := granted(c.policy, "roles/pubsub.publisher"); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
