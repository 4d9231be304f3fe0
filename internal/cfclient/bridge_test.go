package cfclient_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
)

func bridgeClient(t *testing.T, b *testenv.Bridge) *cfclient.Client {
	t.Helper()
	return newClient(t, b.URL, cfclient.Options{Key: b.Key})
}

// wantCode fails unless err is the bridge's refusal with a status and a code.
func wantCode(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var refusal *cfclient.Error
	if !errors.As(err, &refusal) || refusal.Status != status || refusal.Code != code || refusal.Message == "" {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	next := strings.Repeat("n", 32)
	b := testenv.BridgeWith(t, testenv.WorkerSpec{Vars: map[string]string{"BRIDGE_KEY_NEXT": next}})
	health := func(key string) error {
		_, err := newClient(t, b.URL, cfclient.Options{Key: key}).Do(t.Context(), cfclient.Request{Method: "GET", Path: "/v1/health"})
		return err
	}
	for _, key := range []string{b.Key, next} {
		if err := health(key); err != nil {
			t.Errorf("a valid key: %v", err)
		}
	}
	for _, key := range []string{"x", b.Key[:31], b.Key + "0", b.Key[:63] + "_", strings.ToUpper(b.Key) + "G", secret} {
		wantCode(t, "a wrong key", health(key), 401, "unauthorized")
	}
	for _, authorization := range []string{"", b.Key, "Basic " + b.Key, "Bearer", "Bearer ", "Bearer " + b.Key + " x"} {
		for _, path := range []string{"/v1/health", "/v1/sessions?limit=1", "/", "/nothing"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if authorization != "" {
				request.Header.Set("Authorization", authorization)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized || response.Header.Get("WWW-Authenticate") != "Bearer" || !strings.HasPrefix(string(body), `{"code":"unauthorized","message":"`) {
				t.Errorf("%q on %s: %s %s", authorization, path, response.Status, body)
			}
		}
	}

	// The old key goes when the new one is in its place.
	b.Restart(t, map[string]string{"BRIDGE_KEY": next, "BRIDGE_KEY_NEXT": ""})
	if err := health(next); err != nil {
		t.Errorf("the new key: %v", err)
	}
	wantCode(t, "the old key", health(b.Key), 401, "unauthorized")
	if log := b.Log(); strings.Contains(log, b.Key) || strings.Contains(log, next) {
		t.Errorf("a key is in the log: %s", log)
	}

	// A bridge without a proper key serves nobody.
	for _, key := range []string{"", "short"} {
		b.Restart(t, map[string]string{"BRIDGE_KEY": key})
		for _, given := range []string{"x", "short"} {
			wantCode(t, "no key configured", health(given), 503, "not_configured")
		}
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := testenv.Workerd(t)
	c := bridgeClient(t, b)
	frame := func(header string, blobs ...[]byte) [][]byte {
		pieces, err := cfclient.EncodeFrame(json.RawMessage(header), blobs...)
		if err != nil {
			t.Fatal(err)
		}
		return pieces
	}
	const good = `"base":"0","baseTag":"","commit":"1","tag":"t","head":"{}","present":true,"alarm":"","expires":""`
	long := strings.Repeat("x", 129)
	for _, r := range []struct {
		what, method, path, query string
		body                      [][]byte
		status                    int
		code                      string
	}{
		{"no such path", "GET", "/v1/nothing", "", nil, 404, "not_found"},
		{"no such version", "GET", "/v2/sessions", "", nil, 404, "not_found"},
		{"no such verb", "POST", "/v1/sessions/record", "id=a", nil, 404, "not_found"},
		{"no limit", "GET", "/v1/sessions", "", nil, 400, "invalid"},
		{"too high a limit", "GET", "/v1/sessions", "limit=1001", nil, 400, "invalid"},
		{"two times", "GET", "/v1/sessions", "limit=1&dueBy=8&expiredBy=8", nil, 400, "invalid"},
		{"no id", "GET", "/v1/sessions/record", "", nil, 400, "invalid"},
		{"too long an id", "GET", "/v1/sessions/record", "id=" + long, nil, 400, "invalid"},
		{"nothing stored", "GET", "/v1/sessions/record", "id=a", nil, 404, "record_not_found"},
		{"a watch that is none", "GET", "/v1/sessions/watch", "id=a", nil, 426, "upgrade_required"},
		{"no frame", "PUT", "/v1/sessions/record", "id=a", nil, 400, "invalid"},
		{"a cut frame", "PUT", "/v1/sessions/record", "id=a", [][]byte{{0, 0, 0, 1, 0, 0, 0, 9}}, 400, "invalid"},
		{"no ring", "PUT", "/v1/sessions/record", "id=a", frame(`{` + good + `,"parts":[]}`), 400, "invalid"},
		{"no parts", "PUT", "/v1/sessions/record", "id=a", frame(`{`+good+`}`, []byte("r")), 400, "invalid"},
		{"a part twice", "PUT", "/v1/sessions/record", "id=a", frame(`{`+good+`,"parts":[{"name":"a","tag":"a","write":true},{"name":"a","tag":"b","write":true}]}`, []byte("r"), []byte("a"), []byte("b")), 400, "invalid"},
		{"a part without a blob", "PUT", "/v1/sessions/record", "id=a", frame(`{`+good+`,"parts":[{"name":"a","tag":"a","write":true}]}`, []byte("r")), 400, "invalid"},
		{"a head that is no JSON", "PUT", "/v1/sessions/record", "id=a", frame(`{"base":"0","baseTag":"","commit":"1","tag":"t","head":"{","present":true,"alarm":"","expires":"","parts":[]}`, []byte("r")), 400, "invalid"},
		{"a time that does not sort", "PUT", "/v1/sessions/record", "id=a", frame(`{"base":"0","baseTag":"","commit":"1","tag":"t","head":"{}","present":true,"alarm":"soon","expires":"","parts":[]}`, []byte("r")), 400, "invalid"},
		{"a kept part that is not there", "PUT", "/v1/sessions/record", "id=a", frame(`{`+good+`,"parts":[{"name":"a","tag":"a","write":false}]}`, []byte("r")), 409, "conflict"},
		{"an agent that is not allowed", "GET", "/v1/agents/SESSIONS/state", "name=a", nil, 404, "binding_not_allowed"},
		{"a limiter that is not allowed", "POST", "/v1/limits/SESSIONS/reset", "key=a", nil, 404, "binding_not_allowed"},
		{"an empty binding", "GET", "/v1/agents//state", "name=a", nil, 404, "binding_not_allowed"},
		{"no dispatcher", "GET", "/v1/dispatch/a", "", nil, 503, "not_configured"},
	} {
		query, err := url.ParseQuery(r.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(t.Context(), cfclient.Request{Method: r.method, Path: r.path, Query: query, Body: r.body})
		wantCode(t, r.what, err, r.status, r.code)
	}

	// Nothing of it was stored.
	response, err := c.Do(t.Context(), cfclient.Request{Method: "GET", Path: "/v1/sessions", Query: map[string][]string{"limit": {"10"}}})
	if err != nil || string(response.Body) != `{"heads":[]}` {
		t.Errorf("afterwards: %s, %v", response.Body, err)
	}

	// A body that does not say its length, or is too large, is not read.
	for length, want := range map[int64]int{-1: http.StatusLengthRequired, 36<<20 + 1: http.StatusRequestEntityTooLarge} {
		body, hold := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, b.URL+"/v1/sessions/record?id=a", body)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = length
		request.Header.Set("Authorization", "Bearer "+b.Key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		hold.Close()
		if response.StatusCode != want {
			t.Errorf("a body of length %d: %s, want %d", length, response.Status, want)
		}
	}
}
