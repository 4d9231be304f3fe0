package hostclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/hostclient"
)

func TestCallsStayBelowTheAddress(t *testing.T) {
	t.Parallel()
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer server.Close()
	c, err := hostclient.New(server.URL+"/base/", "the-key", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for segment, want := range map[string]string{"a/b": "a%2Fb", "..": "%2E%2E", ".": "%2E", "ü ?#": "%C3%BC%20%3F%23", "": "", "a%2F": "a%252F"} {
		req, err := c.Request(t.Context(), http.MethodPost, http.NoBody, "x", segment)
		if err != nil {
			t.Fatal(err)
		}
		hostclient.SetTimeout(req.Header, 1500*time.Millisecond)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusFound || got.URL.EscapedPath() != "/base/x/"+want || got.Header.Get("Authorization") != "Bearer the-key" || got.Header.Get("Agent-Timeout-Ms") != "1500" {
			t.Errorf("%q: %d %s %v", segment, resp.StatusCode, got.URL.EscapedPath(), got.Header)
		}
	}
	u, err := c.Address("/agents/a%2Fb", "q=%zz")
	if err != nil || u.String() != server.URL+"/base/agents/a%2Fb?q=%zz" {
		t.Errorf("address %s, %v", u, err)
	}
}

func TestWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	gone.Close()
	for _, s := range []struct {
		url          string
		notConnected bool
	}{{gone.URL, true}, {cut.URL, false}} {
		c, err := hostclient.New(s.url, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		req, err := c.Request(t.Context(), http.MethodPost, strings.NewReader("x"), "secret")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(req)
		if err == nil || hostclient.NotConnected(err) != s.notConnected || strings.Contains(hostclient.Cause(err).Error(), "secret") {
			t.Errorf("%v, not connected: %t", err, hostclient.NotConnected(err))
		}
		c.Close()
	}
	if hostclient.NotConnected(errors.New("other")) || hostclient.Cause(io.EOF) != io.EOF { //nolint:errorlint // it is the error itself
		t.Error("errors of other kinds")
	}
}

func TestQuotes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{ //nolint:gocritic // white space is what it is about
		"": "", " \n": "", "a\n\x00b": ": a b", strings.Repeat("é", 150): ": " + strings.Repeat("é", 100), "\xff": "",
	} {
		if got := hostclient.Quote([]byte(in)); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
