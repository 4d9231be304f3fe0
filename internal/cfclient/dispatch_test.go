package cfclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
)

// told is what a target says about the request that it got.
type told struct {
	Name, Method, URL string
	Headers           map[string]string
}

func forward(t *testing.T, c *cfclient.Client, method, address, path, query string, body io.Reader, header http.Header) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Forward(request, path, values)
	if err == nil {
		t.Cleanup(func() { response.Body.Close() })
	}
	return response, err
}

func read(t *testing.T, response *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestDispatchPassesRequestsOn(t *testing.T) {
	t.Parallel()
	const tenant = "infra/cloudflare/bridge/test/tenant.ts"
	b := testenv.BridgeWith(t, testenv.WorkerSpec{Dispatch: map[string]string{"my-app": tenant, "other_app": tenant}})
	c := bridgeClient(t, b)
	const address = "https://my-app.example.com/a/b%2Fc//d?x=1&y=%20"

	header := http.Header{"Authorization": {"Bearer of-the-app"}, "Cookie": {"a=b"}, "X-Own": {"1"}, "X-Bridge-Now": {"5"}, "x-bridge-odd": {"5"}}
	response, err := forward(t, c, "DELETE", address, "/v1/dispatch/my-app", "", nil, header)
	if err != nil {
		t.Fatal(err)
	}
	body := read(t, response)
	var got told
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodDelete || got.URL != address {
		t.Errorf("the worker got %s %s", got.Method, got.URL)
	}
	for name, want := range map[string]string{"authorization": "Bearer of-the-app", "cookie": "a=b", "x-own": "1", "host": "my-app.example.com"} {
		if got.Headers[name] != want {
			t.Errorf("header %s is %q, want %q", name, got.Headers[name], want)
		}
	}
	for name := range got.Headers {
		if strings.HasPrefix(name, "x-bridge-") {
			t.Errorf("header %s reached the worker", name)
		}
	}
	if strings.Contains(body, b.Key) {
		t.Error("the key reached the worker")
	}
	response, err = forward(t, c, "GET", address, "/v1/dispatch/other_app", "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, response); strings.Contains(body, "authorization") {
		t.Errorf("an authorization reached the worker: %s", body)
	}

	// A large body goes both ways as a stream of unknown length.
	large := bytes.Repeat([]byte("0123456789abcdef"), 3<<20/16)
	response, err = forward(t, c, "POST", "https://my-app.example.com/body", "/v1/dispatch/my-app", "", io.MultiReader(bytes.NewReader(large)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, response); response.StatusCode != http.StatusCreated || body != string(large) {
		t.Errorf("%s with %d bytes, want 201 with %d", response.Status, len(body), len(large))
	}

	response, err = forward(t, c, "GET", "https://my-app.example.com/redirect", "/v1/dispatch/my-app", "", nil, nil)
	if err != nil || response.StatusCode != http.StatusFound || response.Header.Get("Location") != "https://elsewhere.example/" {
		t.Errorf("a redirect: %+v, %v", response, err)
	}

	_, err = forward(t, c, "GET", address, "/v1/dispatch/nobody", "", nil, nil)
	wantCode(t, "an unknown worker", err, 404, "worker_not_found")
	_, err = forward(t, c, "GET", address, "/v1/dispatch/no.name", "", nil, nil)
	wantCode(t, "no name", err, 400, "invalid")
	_, err = forward(t, c, "GET", "https://my-app.example.com/throws", "/v1/dispatch/my-app", "", nil, nil)
	wantCode(t, "a worker that fails", err, 502, "worker_failed")
	_, err = c.Do(t.Context(), cfclient.Request{Method: "GET", Path: "/v1/dispatch/my-app"})
	wantCode(t, "no address", err, 400, "invalid")
}

func TestDispatchPassesSocketsOn(t *testing.T) {
	t.Parallel()
	b := testenv.BridgeWith(t, testenv.WorkerSpec{Dispatch: map[string]string{"my-app": "infra/cloudflare/bridge/test/tenant.ts"}})
	echo(t, bridgeClient(t, b), "https://my-app.example.com/socket", "/v1/dispatch/my-app", nil, "tenant heard hello")
}

// echo opens a WebSocket through Forward and expects an answer to hello.
func echo(t *testing.T, c *cfclient.Client, address, path string, query url.Values, want string) {
	t.Helper()
	through := roundTrip(func(r *http.Request) (*http.Response, error) { return c.Forward(r, path, query) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: &http.Client{Transport: through}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	var heard []string
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			t.Fatalf("%v after %q", err, heard)
		}
		if heard = append(heard, string(text)); string(text) == want {
			return
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
