package gateway_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
)

const validRequest = `{"requestId":"r1","staticDir":".","source":{"files":[{"path":"index.html","content":"hi"}]}}`

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

type googleAnswer struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Status  string `json:"status"`
		Details []struct {
			Type            string `json:"@type"`
			FieldViolations []struct {
				Field       string `json:"field"`
				Description string `json:"description"`
			} `json:"fieldViolations"`
		} `json:"details"`
	} `json:"error"`
}

func TestPublish(t *testing.T) {
	t.Parallel()
	f := start(t)
	body := fmt.Sprintf(`{"messages":[{"data":%q,"attributes":{"ce-id":"mine","color":"blue"}},{"data":%q}]}`, b64(validRequest), b64(validRequest))
	got := f.call(t, "POST", "/v1/projects/any/topics/sandbox-requests:publish?alt=json", body)
	var out struct {
		MessageIDs []string `json:"messageIds"`
	}
	got.decode(t, &out)
	if got.StatusCode != http.StatusOK || len(out.MessageIDs) != 2 || out.MessageIDs[0] != "mine" || out.MessageIDs[1] == "" {
		t.Fatalf("answer %d %s, want two ids, the first our own", got.StatusCode, got.body)
	}
	if len(f.outbox.sent) != 2 {
		t.Fatalf("published %d messages, want 2", len(f.outbox.sent))
	}
	first, second := f.outbox.sent[0], f.outbox.sent[1]
	if first.ID != "mine" || first.Attributes["color"] != "blue" || string(first.Data) != validRequest || f.outbox.to[0] != "sandbox-requests" {
		t.Errorf("first message = %+v", first)
	}
	if second.ID != out.MessageIDs[1] {
		t.Errorf("id published %q is not the id answered %q", second.ID, out.MessageIDs[1])
	}
}

func TestPublishTakesTheSpellingsOfProtoJSON(t *testing.T) {
	t.Parallel()
	f := start(t)
	data := base64.RawURLEncoding.EncodeToString([]byte(`{"kind":"STALE_SANDBOXES"} ÿÿ>>??`))
	got := f.call(t, "POST", "/v1/projects/p/topics/dead-letters:publish", `{"messages":[{"data":"`+data+`","ordering_key":"k","messageId":"ignored"}]}`)
	if got.StatusCode != http.StatusOK {
		t.Fatalf("answer %d %s", got.StatusCode, got.body)
	}
	if m := f.outbox.sent[0]; m.Key != "k" || m.ID == "ignored" || string(m.Data) != `{"kind":"STALE_SANDBOXES"} ÿÿ>>??` {
		t.Errorf("message = %+v", m)
	}
}

func TestPublishNamesEachFault(t *testing.T) {
	t.Parallel()
	f := start(t)
	bad := b64(`{"requestId":"","staticDir":"../up","source":{"files":[{"path":"/abs","content":"x"}]}}`)
	got := f.call(t, "POST", "/v1/projects/p/topics/sandbox-requests:publish",
		fmt.Sprintf(`{"messages":[{"data":%q},{"data":"***"},{},{"data":%q}]}`, bad, b64(validRequest)))
	var out googleAnswer
	got.decode(t, &out)
	if got.StatusCode != http.StatusBadRequest || out.Error.Code != 400 || out.Error.Status != "INVALID_ARGUMENT" || len(out.Error.Details) != 1 {
		t.Fatalf("answer %d %s", got.StatusCode, got.body)
	}
	fields := map[string]bool{}
	for _, v := range out.Error.Details[0].FieldViolations {
		fields[v.Field] = true
		if !strings.Contains(out.Error.Message, v.Field+": "+v.Description) {
			t.Errorf("the message, which is all that gcloud shows, lacks %q", v.Field)
		}
	}
	want := map[string]bool{
		"messages[0].data.requestId": true, "messages[0].data.staticDir": true, "messages[0].data.source.files[0].path": true,
		"messages[1].data": true, "messages[2]": true,
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("faulty fields (-want +got):\n%s", diff)
	}
	if len(f.outbox.sent) != 0 {
		t.Errorf("published %d messages of a request with a fault, want none", len(f.outbox.sent))
	}
}

func TestPublishErrorsHaveGooglesForm(t *testing.T) {
	t.Parallel()
	f := start(t)
	for name, c := range map[string]struct {
		path, body string
		code       int
		status     string
	}{
		"unknown topic":    {"/v1/projects/p/topics/none:publish", `{"messages":[{"data":"aGk="}]}`, 404, "NOT_FOUND"},
		"unknown method":   {"/v1/projects/p/topics/sandbox-requests:pull", `{}`, 404, "NOT_FOUND"},
		"no method":        {"/v1/projects/p/topics/sandbox-requests", `{}`, 404, "NOT_FOUND"},
		"not JSON":         {"/v1/projects/p/topics/sandbox-requests:publish", `{"messages":`, 400, "INVALID_ARGUMENT"},
		"unknown field":    {"/v1/projects/p/topics/sandbox-requests:publish", `{"message":[]}`, 400, "INVALID_ARGUMENT"},
		"no messages":      {"/v1/projects/p/topics/sandbox-requests:publish", `{"messages":[]}`, 400, "INVALID_ARGUMENT"},
		"payload not JSON": {"/v1/projects/p/topics/sandbox-requests:publish", `{"messages":[{"data":"aGk="}]}`, 400, "INVALID_ARGUMENT"},
		"too large":        {"/v1/projects/p/topics/cleanup-ticks:publish", `{"messages":[{"data":"` + strings.Repeat("A", 15<<20) + `"}]}`, 400, "INVALID_ARGUMENT"},
	} {
		got := f.call(t, "POST", c.path, c.body)
		var out googleAnswer
		got.decode(t, &out)
		if got.StatusCode != c.code || out.Error.Status != c.status || out.Error.Message == "" {
			t.Errorf("%s: %d %.300s, want %d %s", name, got.StatusCode, got.body, c.code, c.status)
		}
	}
	body := `{"messages":[{"data":"` + b64(validRequest) + `"}]}`
	for _, c := range []struct {
		err    error
		code   int
		status string
	}{
		{fmt.Errorf("message 0: %w: key too long", events.ErrInvalid), 400, "INVALID_ARGUMENT"},
		{errors.New("disk of the secret host is full"), 503, "UNAVAILABLE"},
	} {
		f.outbox.err = c.err
		got := f.call(t, "POST", "/v1/projects/p/topics/sandbox-requests:publish", body)
		var out googleAnswer
		got.decode(t, &out)
		if got.StatusCode != c.code || out.Error.Status != c.status || strings.Contains(got.body, "secret") {
			t.Errorf("bus error %v: %d %s", c.err, got.StatusCode, got.body)
		}
	}
}
