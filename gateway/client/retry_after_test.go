package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vibesdk-gcp/gateway/client"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRetriesWaitAsLongAsTheServerSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after    string
		retryFor time.Duration
		tries    int
		least    time.Duration
	}{
		{"3", 10 * time.Second, 3, 6 * time.Second},
		{"", 10 * time.Second, 3, 0},
		{"60", 10 * time.Second, 1, 0}, // to wait in vain helps nobody
		{"1", -1, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin, tries := time.Now(), 0
			conn, err := client.New("http://gateway.test", client.Options{RetryFor: c.retryFor, HTTP: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				tries++
				resp := &http.Response{StatusCode: http.StatusServiceUnavailable, Status: "503", Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}
				if tries == 3 {
					resp.StatusCode = http.StatusOK
				} else if c.after != "" {
					resp.Header.Set("Retry-After", c.after)
				}
				return resp, nil
			})}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = conn.Sandboxes().Get(t.Context(), "sbx-x")
			if tries != c.tries || time.Since(begin) < c.least || (err == nil) != (c.tries == 3) {
				t.Errorf("Retry-After %q within %s: %d tries in %s, %v; want %d in %s or more", c.after, c.retryFor, tries, time.Since(begin), err, c.tries, c.least)
			}
			if err != nil && !errors.Is(err, client.ErrUnavailable) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
		})
	}
}
