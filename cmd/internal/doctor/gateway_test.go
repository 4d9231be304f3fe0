package doctor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/doctor"
	"vibesdk-gcp/gateway/client"
)

func TestGateway(t *testing.T) {
	t.Parallel()
	const none, some = `{"counts":[]}`, `{"counts":[{"topic":"cleanup-ticks","subscription":"janitor","state":"open","count":3,"oldest":"2026-01-02T03:04:05Z"}]}`
	for name, c := range map[string]struct {
		ready, calls int
		date         time.Duration
		counts       string
		want         []string
	}{
		"all well":     {200, 200, 0, none, []string{"ok: ready", "ok: agree", "ok: gateway API", "ok: none waits"}},
		"dead letters": {200, 200, 0, some, []string{"ok: ready", "ok: agree", "ok: gateway API", "warn: vibectl dlq list --subscription janitor"}},
		"not ready":    {503, 200, 0, none, []string{"fail: not ready: 503", "ok: agree", "ok: gateway API", "ok: none waits"}},
		"wrong key":    {200, 401, 0, none, []string{"ok: ready", "ok: agree", "fail: --api-key-file"}},
		"broken":       {200, 500, 0, none, []string{"ok: ready", "ok: agree", "fail: does not work"}},
		"ahead":        {200, 200, 20 * time.Second, none, []string{"ok: ready", "warn: ahead of ours", "ok: gateway API", "ok: none waits"}},
		"behind":       {200, 200, -5 * time.Minute, none, []string{"ok: ready", "fail: behind ours", "ok: gateway API", "ok: none waits"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Now().Add(c.date).UTC().Format(http.TimeFormat))
				if r.URL.Path == "/readyz" {
					w.WriteHeader(c.ready)
					return
				}
				if r.URL.Path != "/v1/dead-letters:count" || r.URL.Query().Get("state") != "open" {
					t.Errorf("asked for %s", r.URL)
				}
				w.WriteHeader(c.calls)
				_, _ = io.WriteString(w, c.counts)
			}))
			defer server.Close()
			api, err := client.New(server.URL, client.Options{RetryFor: -1})
			if err != nil {
				t.Fatal(err)
			}
			want(t, doctor.Gateway(t.Context(), server.URL, api), c.want...)
		})
	}
	api, err := client.New("http://127.0.0.1:1", client.Options{RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	want(t, doctor.Gateway(t.Context(), "http://127.0.0.1:1", api), "fail: does not answer")
}
