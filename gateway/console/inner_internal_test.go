package console

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ask sends a request through the transport to h.
func ask(ctx context.Context, h http.HandlerFunc) (*http.Response, error) {
	outer := httptest.NewRequest(http.MethodGet, "http://localhost:8787/console/", nil)
	outer.RemoteAddr = "192.0.2.7:1234"
	outer.Header.Set("User-Agent", "browser")
	outer.Header.Set("Cookie", "secret=1")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://console/v1/x%2Fy?z=1", strings.NewReader("body"))
	if err != nil {
		return nil, err
	}
	return inner{api: h, outer: outer}.RoundTrip(req)
}

func TestInnerCallsAreOfThePersonWhoAsks(t *testing.T) {
	t.Parallel()
	resp, err := ask(t.Context(), func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Host != "localhost:8787" || r.RemoteAddr != "192.0.2.7:1234" || r.UserAgent() != "browser" || r.Header.Get("Cookie") != "" ||
			r.URL.EscapedPath() != "/v1/x%2Fy" || r.RequestURI != "/v1/x%2Fy?z=1" || string(body) != "body" || err != nil {
			t.Errorf("%s %s from %s with %v and %q, %v", r.Host, r.RequestURI, r.RemoteAddr, r.Header, body, err)
		}
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "no")
		_, _ = w.Write([]byte("short"))
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusTeapot || string(body) != "short" || resp.Header.Get("X-Answer") != "yes" || resp.Header.Get("X-Late") != "" {
		t.Errorf("%d %q %v %v", resp.StatusCode, body, resp.Header, err)
	}
}

func TestInnerAnswersStream(t *testing.T) {
	t.Parallel()
	go1, ended := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := ask(ctx, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		_, _ = w.Write([]byte("first\n"))
		<-go1
		_, _ = w.Write([]byte("second\n"))
		<-r.Context().Done()
	})
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); line != "first\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	close(go1)
	if line, err := in.ReadString('\n'); line != "second\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	cancel()
	if _, err := in.ReadString('\n'); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the call: %v", err)
	}
	<-ended
}

func TestInnerCallsThatPanicFail(t *testing.T) {
	t.Parallel()
	if _, err := ask(t.Context(), func(http.ResponseWriter, *http.Request) { panic("boom") }); !errors.Is(err, errAborted) {
		t.Errorf("before the answer: %v", err)
	}
	resp, err := ask(t.Context(), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic(http.ErrAbortHandler)
	})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "half" || !errors.Is(err, errAborted) {
		t.Errorf("%q, %v", body, err)
	}
}

func TestAnInnerCallWithoutAnAnswerIsOK(t *testing.T) {
	t.Parallel()
	resp, err := ask(t.Context(), func(http.ResponseWriter, *http.Request) {})
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	if body, err := io.ReadAll(resp.Body); len(body) != 0 || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}
