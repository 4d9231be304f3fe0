package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway/client"
)

// TestChangeOfADeploymentBeginsAgain: an app that changes between the read and the write is read again.
func TestChangeOfADeploymentBeginsAgain(t *testing.T) {
	t.Parallel()
	var s seen
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		n := s.add(r)
		body, _ := io.ReadAll(r.Body)
		switch {
		case n == 1:
			w.WriteHeader(http.StatusNotFound)
		case n == 3:
			_, _ = io.WriteString(w, `{"name":"a/b","target":"process","endpoint":"127.0.0.1:1","version":7,"owner":"u"}`)
		case r.Method == http.MethodPut && n == 2:
			if r.Header.Get("If-None-Match") != "*" || !strings.Contains(string(body), `"endpoint":"mine"`) {
				t.Errorf("first PUT: %v %s", r.Header, body)
			}
			w.WriteHeader(http.StatusPreconditionFailed)
		default:
			if r.Header.Get("If-Match") != `"7"` || strings.Contains(string(body), "version") || !strings.Contains(string(body), `"owner":"u"`) {
				t.Errorf("second PUT: %v %s", r.Header, body)
			}
			_, _ = io.WriteString(w, `{"version":8}`)
		}
	})
	change := func(d *client.Deployment) error { d.Endpoint = "mine"; return nil }
	stored, err := c.Deployments().Change(t.Context(), "a/b", change)
	if err != nil || stored.Version != 8 {
		t.Errorf("%+v, %v", stored, err)
	}
	want := "GET /v1/deployments/a%2Fb,PUT /v1/deployments/a%2Fb,GET /v1/deployments/a%2Fb,PUT /v1/deployments/a%2Fb"
	if got := strings.Join(s.calls, ","); got != want {
		t.Errorf("calls %s", got)
	}
}

func TestChangeOfADeploymentEndsWithItsError(t *testing.T) {
	t.Parallel()
	var s seen
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		s.add(r)
		_, _ = io.WriteString(w, `{"version":7}`)
	})
	no := errors.New("no")
	if _, err := c.Deployments().Change(t.Context(), "a", func(*client.Deployment) error { return no }); !errors.Is(err, no) || len(s.calls) != 1 {
		t.Errorf("%v after %q", err, s.calls)
	}
}
