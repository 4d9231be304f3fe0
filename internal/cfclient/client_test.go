package cfclient_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/internal/cfclient"
)

const secret = "0123456789abcdef0123456789abcdef"

func newClient(t *testing.T, url string, o cfclient.Options) *cfclient.Client {
	t.Helper()
	o.URL = url
	if o.Key == "" {
		o.Key = secret
	}
	c, err := cfclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// server answers with one status after the other, the last again and again, and counts.
func server(t *testing.T, bridge bool, statuses ...int) (url string, calls *atomic.Int64) {
	calls = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(calls.Add(1))
		status := statuses[min(n, len(statuses))-1]
		if status == 0 {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		if status >= 300 && bridge {
			w.Header().Set("X-Bridge-Error", "code")
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "http://"+r.Host+"/elsewhere")
		}
		w.WriteHeader(status)
		w.Write([]byte(`{"code":"code","message":"words"}`))
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func TestOnlySafeCallsAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		safe     bool
		statuses []int
		calls    int64
		status   int // of the refusal; 0 is none, -1 is another error
	}{
		{"success", true, []int{200}, 1, 0},
		{"busy, safe", true, []int{503, 429, 502, 200}, 4, 0},
		{"busy for ever, safe", true, []int{503}, 4, 503},
		{"broken connection, safe", true, []int{0, 0, 200}, 3, 0},
		{"refused, safe", true, []int{409, 200}, 1, 409},
		{"failed, safe", true, []int{500, 200}, 1, 500},
		{"busy, unsafe", false, []int{503, 200}, 1, 503},
		{"broken connection, unsafe", false, []int{0, 200}, 1, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url, calls := server(t, true, c.statuses...)
			_, err := newClient(t, url, cfclient.Options{}).Do(t.Context(), cfclient.Request{Method: "PUT", Path: "/v1/x", Safe: c.safe, Body: [][]byte{[]byte("x")}})
			var refusal *cfclient.Error
			switch {
			case c.status == 0 && err != nil, c.status != 0 && err == nil:
				t.Errorf("error %v", err)
			case c.status > 0 && (!errors.As(err, &refusal) || refusal.Status != c.status || refusal.Code != "code" || refusal.Message != "words"):
				t.Errorf("error %v, want a refusal with %d", err, c.status)
			case c.status < 0 && errors.As(err, &refusal):
				t.Errorf("error %v, want none of the bridge's", err)
			}
			if got := calls.Load(); got != c.calls {
				t.Errorf("%d calls, want %d", got, c.calls)
			}
		})
	}
}

func TestAnswersOfOthersAreRefusals(t *testing.T) {
	t.Parallel()
	for _, status := range []int{302, 401, 404, 409, 500} {
		url, calls := server(t, false, status, 200)
		_, err := newClient(t, url, cfclient.Options{}).Do(t.Context(), cfclient.Request{Method: "GET", Path: "/v1/x"})
		if cfclient.Code(err) != "no_bridge" || strings.Contains(err.Error(), "words") || calls.Load() != 1 {
			t.Errorf("%d: %v after %d calls", status, err, calls.Load())
		}
	}
}

func TestCallsEndInTime(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	c := newClient(t, s.URL, cfclient.Options{Timeout: 20 * time.Millisecond, Tries: 2})
	_, err := c.Do(t.Context(), cfclient.Request{Method: "GET", Path: "/v1/x", Safe: true})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a deadline", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, cfclient.Request{Method: "GET", Path: "/v1/x", Safe: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	if err := c.Listen(t.Context(), "/v1/x", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("listen: %v, want a deadline", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, o := range []cfclient.Options{
		{}, {URL: "http://x"}, {URL: "ftp://x", Key: "k"}, {URL: "x", Key: "k"}, {URL: "http://x/path", Key: "k"},
		{URL: "http://x?a", Key: "k"}, {URL: "http://u:p@x", Key: "k"}, {URL: "http://x", Key: "a b"}, {URL: "http://x", Key: "a\r\nb"},
	} {
		if _, err := cfclient.New(o); err == nil {
			t.Errorf("%+v was taken", o)
		} else if o.Key != "" && strings.Contains(err.Error(), o.Key+" ") {
			t.Errorf("%v has the key in it", err)
		}
	}
	if _, err := cfclient.New(cfclient.Options{URL: "https://x:1/", Key: "k"}); err != nil {
		t.Error(err)
	}
}

func TestErrorsHaveNoSecret(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1", cfclient.Options{Tries: 1})
	_, err := c.Do(t.Context(), cfclient.Request{Method: "GET", Path: "/v1/x", Query: map[string][]string{"id": {"someone"}}})
	other := c.Listen(t.Context(), "/v1/x", map[string][]string{"id": {"someone"}}, nil)
	for _, err := range []error{err, other} {
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "someone") {
			t.Errorf("error %v", err)
		}
	}
}
