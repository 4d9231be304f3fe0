package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

func TestRunPublishesARequest(t *testing.T) {
	t.Parallel()
	f := start(t)
	var out gateway.Accepted
	got := f.call(t, "POST", "/v1/sandboxes", validRequest)
	got.decode(t, &out)
	if got.StatusCode != http.StatusAccepted || out.RequestID != "r1" || out.ID != sandbox.IDFor("r1") || got.Header.Get("Location") != "/v1/sandboxes/"+out.ID {
		t.Fatalf("answer %d %s, Location %q", got.StatusCode, got.body, got.Header.Get("Location"))
	}
	req, err := schemas.DecodeSandboxRequest(f.outbox.sent[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if f.outbox.to[0] != "sandbox-requests" || req.GetRequestId() != "r1" || req.GetSource().GetFiles()[0].GetContent() != "hi" {
		t.Errorf("published %v", req)
	}
}

func TestRunMakesUpARequestID(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, body := range []string{
		`{"staticDir":".","source":{"files":[{"path":"a"}]}}`,
		`{"request_id":null,"staticDir":".","source":{"files":[{"path":"a"}]}}`,
	} {
		var out gateway.Accepted
		got := f.call(t, "POST", "/v1/sandboxes", body)
		got.decode(t, &out)
		if got.StatusCode != http.StatusAccepted || out.RequestID == "" || out.ID != sandbox.IDFor(out.RequestID) {
			t.Errorf("%s: %d %s", body, got.StatusCode, got.body)
		}
	}
}

func TestRunRefusesWhatTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	f := start(t)
	p := f.call(t, "POST", "/v1/sandboxes", `{"source":{"files":[{"path":"../x"}]},"env":{"PORT":"topsecretvalue"}}`).wantProblem(t, 400, "invalid")
	var fields []string
	for _, fault := range p.Faults {
		fields = append(fields, fault.Field)
		if strings.Contains(fault.Message, "topsecretvalue") {
			t.Error("a fault repeats the value of a variable")
		}
	}
	for _, want := range []string{"source.files[0].path", "env"} {
		if !strings.Contains(strings.Join(fields, " "), want) {
			t.Errorf("faults %v lack %s", fields, want)
		}
	}
	f.call(t, "POST", "/v1/sandboxes", `[1]`).wantProblem(t, 400, "invalid")
	f.call(t, "POST", "/v1/sandboxes", `{"a":`).wantProblem(t, 400, "invalid")
	f.call(t, "POST", "/v1/sandboxes", ``).wantProblem(t, 400, "invalid")
	f.call(t, "POST", "/v1/sandboxes", `{"requestId":"s","action":"STOP","sandboxId":"sbx-aaaaaaaaaaaaaaaa"}`).wantProblem(t, 400, "invalid")
	f.call(t, "POST", "/v1/sandboxes", `{"x":"`+strings.Repeat("a", 10<<20)+`"}`).wantProblem(t, 413, "too-large")
	if len(f.outbox.sent) != 0 {
		t.Errorf("published %d messages, want none", len(f.outbox.sent))
	}
}

func TestGetShowsTheAddressOnlyOfAReadyOne(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	var s gateway.Sandbox
	got := f.call(t, "GET", "/v1/sandboxes/"+r.ID, "")
	got.decode(t, &s)
	if s.State != sandbox.Building || s.PreviewURL != "" || s.TTLSeconds != 3600 || s.IdleSeconds != 60 {
		t.Errorf("sandbox = %+v", s)
	}
	if strings.Contains(got.body, r.ControlToken) || strings.Contains(got.body, r.Token) {
		t.Error("a token is shown")
	}
	f.move(t, r.ID, sandbox.Starting, nil)
	f.move(t, r.ID, sandbox.Ready, nil)
	got = f.call(t, "GET", "/v1/sandboxes/"+r.ID, "")
	got.decode(t, &s)
	if want := "http://" + r.ID + "-" + r.Token + ".preview.test/"; s.PreviewURL != want {
		t.Errorf("previewUrl = %q, want %q", s.PreviewURL, want)
	}
	if strings.Contains(got.body, r.ControlToken) {
		t.Error("the control token is shown")
	}
	f.call(t, "GET", "/v1/sandboxes/"+sandbox.IDFor("nobody"), "").wantProblem(t, 404, "not-found")
	f.call(t, "GET", "/v1/sandboxes/no-such-form", "").wantProblem(t, 404, "not-found")
}

func TestListByStateAndPage(t *testing.T) {
	t.Parallel()
	f := start(t)
	all := map[string]bool{}
	for i := range 7 {
		var states []sandbox.State
		if i%2 == 0 {
			states = append(states, sandbox.Building)
		}
		all[f.sandbox(t, fmt.Sprint("r", i), states...).ID] = true
	}
	seen, after := map[string]bool{}, ""
	for range 10 {
		var page gateway.Page
		f.call(t, "GET", "/v1/sandboxes?limit=3&after="+after, "").decode(t, &page)
		for _, s := range page.Sandboxes {
			if seen[s.ID] || !all[s.ID] {
				t.Errorf("%s is listed twice or is not ours", s.ID)
			}
			seen[s.ID] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(seen) != 7 {
		t.Errorf("saw %d sandboxes over all pages, want 7", len(seen))
	}
	var page gateway.Page
	f.call(t, "GET", "/v1/sandboxes?state=building,ready&state=failed", "").decode(t, &page)
	if len(page.Sandboxes) != 4 {
		t.Errorf("%d sandboxes are building, want 4", len(page.Sandboxes))
	}
	for _, query := range []string{"state=flying", "limit=0", "limit=1001", "limit=x"} {
		f.call(t, "GET", "/v1/sandboxes?"+query, "").wantProblem(t, 400, "invalid")
	}
}

func TestStopPublishesOnceForALivingSandbox(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	if got := f.call(t, "POST", "/v1/sandboxes/"+r.ID+":stop", ""); got.StatusCode != http.StatusAccepted {
		t.Fatalf("answer %d %s", got.StatusCode, got.body)
	}
	req, err := schemas.DecodeSandboxRequest(f.outbox.sent[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if req.GetAction() != gen.SandboxRequest_STOP || req.GetStopReason() != gen.SandboxRequest_USER || req.GetSandboxId() != r.ID {
		t.Errorf("published %v", req)
	}
	f.move(t, r.ID, sandbox.Failed, func(r *sandbox.Record) { r.Reason = "test" })
	if got := f.call(t, "POST", "/v1/sandboxes/"+r.ID+":stop", ""); got.StatusCode != http.StatusAccepted || len(f.outbox.sent) != 1 {
		t.Errorf("stop of an ended sandbox: %d, %d messages; want 202 and no second message", got.StatusCode, len(f.outbox.sent))
	}
	f.call(t, "POST", "/v1/sandboxes/"+sandbox.IDFor("nobody")+":stop", "").wantProblem(t, 404, "not-found")
}
