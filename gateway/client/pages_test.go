package client_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/gateway/client"
)

func TestPagesAskForWhatTheyAreTold(t *testing.T) {
	t.Parallel()
	var asked string
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"sandboxes":[{"id":"a"}],"sessions":[{"id":"b"}],"deadLetters":[{"id":"c"}],"next":"n"}`))
	})
	check := func(want, id, next string, err error) {
		t.Helper()
		if err != nil || asked != want || next != "n" {
			t.Errorf("asked for %s, next %q, %v; want %s", asked, next, err, want)
		}
		if diff := cmp.Diff(id[:1], id); diff != "" {
			t.Error(diff)
		}
	}
	sandboxes, err := c.Sandboxes().Page(t.Context(), "sbx-a", 7, client.Ready, client.Failed)
	check("/v1/sandboxes?after=sbx-a&limit=7&state=ready&state=failed", sandboxes.Items[0].ID, sandboxes.Next, err)
	sessions, err := c.Sessions().Page(t.Context(), "", 0)
	check("/v1/sessions", sessions.Items[0].ID, sessions.Next, err)
	letters, err := c.DeadLetters().Page(t.Context(), client.DeadLetterQuery{Topic: "t", Newest: true}, "9-1", 50)
	check("/v1/dead-letters?after=9-1&limit=50&newest=1&topic=t", letters.Items[0].ID, letters.Next, err)
	if got := sandboxes.Items[0].ID + sessions.Items[0].ID + letters.Items[0].ID; got != "abc" {
		t.Errorf("the pages hold %s", got)
	}
}
