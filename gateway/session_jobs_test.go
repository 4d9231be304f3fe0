package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/platform/session"
)

// made adds a job and returns its address.
func (l *live) made(t *testing.T, path, body string) (ref, location string) {
	t.Helper()
	got := l.call(t, "POST", path, body)
	if got.StatusCode != http.StatusCreated {
		t.Fatalf("POST %s %s: %d %s", path, body, got.StatusCode, got.body)
	}
	var m gateway.MutationResult
	got.decode(t, &m)
	return m.Ref, got.Header.Get("Location")
}

func (l *live) jobs(t *testing.T, path string) []string {
	t.Helper()
	var list gateway.JobList
	l.call(t, "GET", path, "").decode(t, &list)
	ids := []string{}
	for _, job := range list.Jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	const base = "/v1/sessions/s/schedules"
	soon, location := l.made(t, base, `{"callback":"remind","delaySeconds":3600,"payload":{ "n": 1.0, "x":"<>" }}`)
	var job gateway.Job
	got := l.call(t, "GET", location, "")
	got.decode(t, &job)
	if job.ID != soon || job.Type != "delayed" || job.Callback != "remind" || job.DelaySeconds != 3600 || job.Due.Sub(job.CreatedAt) != time.Hour || job.Run != 1 {
		t.Errorf("job %s", got.body)
	}
	var payload map[string]json.RawMessage
	if err := json.Unmarshal(job.Payload, &payload); err != nil || string(payload["n"]) != "1.0" {
		t.Errorf("payload %s", job.Payload)
	}
	l.made(t, base, `{"id":"a/b","callback":"at","at":"2040-01-01T00:00:00.5Z"}`)
	l.made(t, base, `{"id":"nightly","callback":"report","cron":"0 3 * * *"}`)
	l.made(t, base, `{"id":"beat","callback":"report","intervalSeconds":7200}`)
	for query, want := range map[string][]string{
		"?type=cron":                           {"nightly"},
		"?type=scheduled":                      {"a/b"},
		"?callback=remind":                     {soon},
		"?id=beat":                             {"beat"},
		"?id=none":                             {},
		"?from=2040-01-01T00:00:00.5Z":         {"a/b"},
		"?from=2040-01-01T00:00:00.50001Z":     {},
		"?to=2039-12-31T00:00:00Z&callback=at": {},
	} {
		if got := l.jobs(t, base+query); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if got := l.jobs(t, base); len(got) != 4 || got[3] != "a/b" || got[0] != soon && got[1] != soon {
		t.Errorf("all: %q", got)
	}
	var detail gateway.SessionDetail
	l.call(t, "GET", "/v1/sessions/s", "").decode(t, &detail)
	if detail.Schedules != 4 || detail.Queued != 0 || detail.AlarmAt.IsZero() {
		t.Errorf("detail %+v", detail)
	}
	var due gateway.SessionPage
	l.call(t, "GET", "/v1/sessions?due="+time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339)+"&limit=1", "").decode(t, &due)
	if len(due.Sessions) != 1 || due.Sessions[0].ID != "s" || !due.NextTime.Equal(detail.AlarmAt) {
		t.Errorf("due: %+v", due)
	}
	l.applied(t, "DELETE", base+"/a%2Fb", "")
	l.call(t, "DELETE", base+"/a%2Fb", "").wantProblem(t, 404, "not-found")
	l.call(t, "GET", base+"/a%2Fb", "").wantProblem(t, 404, "not-found")
	l.call(t, "GET", "/v1/sessions/s/queue/nightly", "").wantProblem(t, 404, "not-found")
	for body, want := range map[string]string{
		`{"callback":"x"}`: "", `{"callback":"x","cron":"no"}`: "cron", `{"callback":"","delaySeconds":1}`: "callback",
		`{"callback":"x","intervalSeconds":0}`: "interval",
	} {
		if p := l.call(t, "POST", base, body).wantProblem(t, 422, "rejected"); !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
	for _, body := range []string{`{"callback":"x","delaySecond":1}`, `[]`, `{"callback":1}`} {
		l.call(t, "POST", base, body).wantProblem(t, 400, "invalid")
	}
	l.call(t, "POST", base, `{"callback":"x","delaySeconds":1,"payload":"`+strings.Repeat("x", 600<<10)+`"}`).wantProblem(t, 413, "too-large")
}

func TestQueue(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	const base = "/v1/sessions/q/queue"
	first, location := l.made(t, base, `{"callback":"work","payload":1}`)
	second, _ := l.made(t, base, `{"callback":"other"}`)
	third, _ := l.made(t, base, `{"callback":"work"}`)
	if got := l.jobs(t, base); !slices.Equal(got, []string{first, second, third}) {
		t.Errorf("queue %q, want the order of the calls %q", got, []string{first, second, third})
	}
	if got := l.jobs(t, "/v1/sessions/q/schedules"); len(got) != 0 {
		t.Errorf("schedules %q, want none", got)
	}
	var job gateway.Job
	l.call(t, "GET", location, "").decode(t, &job)
	if job.ID != first || job.Type != session.JobQueue || string(job.Payload) != "1" {
		t.Errorf("item %+v", job)
	}
	if m := l.applied(t, "DELETE", base+"?callback=work", ""); m.Ref != "2" {
		t.Errorf("removed %q, want 2", m.Ref)
	}
	if got := l.jobs(t, base); !slices.Equal(got, []string{second}) {
		t.Errorf("queue %q", got)
	}
	l.applied(t, "DELETE", base+"/"+second, "")
	l.made(t, base, `{"callback":"x"}`)
	if m := l.applied(t, "DELETE", base+"?all=1", ""); m.Ref != "1" {
		t.Errorf("removed %q, want 1", m.Ref)
	}
}

func TestASessionMovesByExportAndImport(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	state := "{ \"projectUpdatesAccumulator\" : [1.0, 2e5],\n\"x\":\"<&>\\u003c\" }"
	l.applied(t, "PUT", "/v1/sessions/from/state", state)
	l.applied(t, "PUT", "/v1/sessions/from/parts/mcp_servers", `{"s1":{"id":"s1","name":"n","server_url":"http://x","callback_url":"http://y","client_id":null,"auth_url":null,"server_options":null}}`)
	l.made(t, "/v1/sessions/from/schedules", `{"id":"job1","callback":"remind","at":"2040-01-01T00:00:00Z","payload":{"a":1}}`)
	l.made(t, "/v1/sessions/from/queue", `{"id":"item1","callback":"work"}`)
	for _, form := range []string{"tables", "jobs"} {
		dump := l.call(t, "GET", "/v1/sessions/from/export?form="+form, "")
		if dump.StatusCode != http.StatusOK || !json.Valid([]byte(dump.body)) || !strings.Contains(dump.body, "cf_agents_"+map[string]string{"tables": "schedules", "jobs": "jobs"}[form]) {
			t.Fatalf("%s: %d %s", form, dump.StatusCode, dump.body)
		}
		to := "/v1/sessions/to-" + form
		m := l.applied(t, "POST", to+"/import", dump.body)
		if got := l.call(t, "GET", to+"/state", ""); got.body != state {
			t.Errorf("%s: state %q, want it byte for byte", form, got.body)
		}
		if got := l.jobs(t, to+"/schedules"); !slices.Equal(got, []string{"job1"}) {
			t.Errorf("%s: schedules %q", form, got)
		}
		if got := l.jobs(t, to+"/queue"); !slices.Equal(got, []string{"item1"}) {
			t.Errorf("%s: queue %q", form, got)
		}
		// It is not written over by accident.
		l.call(t, "POST", to+"/import", dump.body).wantProblem(t, 409, "conflict")
		l.applied(t, "POST", to+"/import", dump.body, with("If-Match", etag(m.Version)))
	}
	for _, body := range []string{`[]`, `{"tables":1}`, `nothing`} {
		l.call(t, "POST", "/v1/sessions/bad/import", body).wantProblem(t, 400, "invalid")
	}
}
