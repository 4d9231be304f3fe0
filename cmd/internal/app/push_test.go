package app_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

const (
	pushAudience = "vibesdk-push"
	pushAccount  = "push@project.iam.gserviceaccount.com"
)

// pusher stands between the emulator and the program: it gives each push the token that the service gives, and notes the answers.
type pusher struct {
	front, issuer *httptest.Server
	key           jose.JSONWebKey
	to            atomic.Pointer[url.URL]

	mu      sync.Mutex
	answers map[string]map[int]int // how often a consumer gave a status
}

func newPusher(t *testing.T) *pusher {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &pusher{key: jose.JSONWebKey{Key: private, KeyID: "k", Algorithm: "RS256", Use: "sig"}, answers: map[string]map[int]int{}}
	p.issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.key.Public()}})
	}))
	t.Cleanup(p.issuer.Close)
	token := p.token(t)
	p.front = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if to := p.to.Load(); to != nil {
				r.SetURL(to)
			}
			r.Out.Header.Set("Authorization", "Bearer "+token)
		},
		ModifyResponse: func(resp *http.Response) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			consumer := path.Base(resp.Request.URL.Path)
			if p.answers[consumer] == nil {
				p.answers[consumer] = map[int]int{}
			}
			p.answers[consumer][resp.StatusCode]++
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }, // it has not begun, or ends
	})
	t.Cleanup(p.front.Close)
	return p
}

func (p *pusher) answered(consumer string, status int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers[consumer][status]
}

// token is one of the account's, changed.
func (p *pusher) token(t *testing.T, change ...string) string {
	t.Helper()
	claims := map[string]any{
		"iss": auth.GoogleIssuer, "aud": pushAudience, "sub": "1", "email": pushAccount, "email_verified": true,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	for i := 0; i < len(change); i += 2 {
		claims[change[i]] = change[i+1]
	}
	return signed(t, jose.RS256, p.key, claims)
}

// start starts roles whose consumers the emulator pushes to.
func (p *pusher) start(t *testing.T, consumers string, roles ...app.Role) *world {
	t.Helper()
	base := config(t)
	endpoint, project := testenv.PubSub(t)
	c, err := app.ReadConfig(environment(map[string]string{
		"BUS_BACKEND": "pubsub", "PUBSUB_PROJECT": project, "PUBSUB_EMULATOR_HOST": endpoint, "LISTEN": base.Listen, "DATA_DIR": base.DataDir,
		"SANDBOXD": base.Sandboxd, "PATH": os.Getenv("PATH"), "PUSH_CONSUMERS": consumers, "PUSH_URL": p.front.URL,
		"PUSH_AUDIENCE": pushAudience, "PUSH_ACCOUNT": pushAccount, "PUSH_KEYS_URL": p.issuer.URL,
	}))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, c, roles...)
	p.to.Store(&url.URL{Scheme: "http", Host: w.Addr()})
	return w
}

// TestPushedConsumersDoTheWork runs a sandbox with the consumers of requests and ticks pushed, in one process with all other roles.
func TestPushedConsumersDoTheWork(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	w := p.start(t, "sandboxrunner, janitor")
	made := w.run(t, static("pushed"))
	if made.State != client.Ready {
		t.Fatalf("the sandbox is %s: %s", made.State, made.Reason)
	}
	if last := w.end(t, made.ID); last.State != client.Deleted {
		t.Errorf("after the stop: %s", last.State)
	}
	if p.answered("sandboxrunner", http.StatusNoContent) < 2 {
		t.Errorf("pushes were answered %v", p.answers)
	}
}

// TestPushedRoleIsADoor: a program with one pushed role answers Pub/Sub and probes, and nobody else.
func TestPushedRoleIsADoor(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	w := p.start(t, "janitor", app.RoleJanitor)
	const tick = `{"message":{"messageId":"1","data":"eyJraW5kIjoiU1RBTEVfU0FOREJPWEVTIn0="},"subscription":"projects/%s/subscriptions/janitor"}`
	body := fmt.Sprintf(tick, w.config.PubSubProject)
	for name, c := range map[string]struct {
		method, path, token string
		status              int
		says                string
	}{
		"Pub/Sub":          {"POST", "/push/janitor", p.token(t), 204, ""},
		"no token":         {"POST", "/push/janitor", "", 401, "no ID token"},
		"another account":  {"POST", "/push/janitor", p.token(t, "email", "eve@project.iam.gserviceaccount.com"), 403, "another account"},
		"another audience": {"POST", "/push/janitor", p.token(t, "aud", "somebody else"), 403, "not valid here"},
		"another issuer":   {"POST", "/push/janitor", p.token(t, "iss", "https://issuer.example.com"), 403, "not valid here"},
		"a pulled one":     {"POST", "/push/parked", p.token(t), 404, "is pushed here"},
		"alive":            {"GET", "/healthz", "", 200, `"status":"ok"`},
		"ready":            {"GET", "/readyz", "", 200, `"status":"ready"`},
		"no gateway":       {"GET", "/v1/sandboxes", "", 404, ""},
	} {
		var status int
		var text string
		for deadline := time.Now().Add(patient); ; { // the consumer may not have begun
			status, text = call(within(t), t, c.method, "http://"+w.Addr()+c.path, c.token, body)
			if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
				break
			}
		}
		if status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %q, want %d with %q", name, status, text, c.status, c.says)
		}
	}
	w.stop()
}

func call(ctx context.Context, t *testing.T, method, address, token, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// TestPushesWithoutAnAccountAreOfThisMachine: nobody else gets as far as the consumer.
func TestPushesWithoutAnAccountAreOfThisMachine(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	endpoint, project := testenv.PubSub(t)
	vars := map[string]string{
		"BUS_BACKEND": "pubsub", "PUBSUB_PROJECT": project, "PUBSUB_EMULATOR_HOST": endpoint, "LISTEN": "127.0.0.1:0", "DATA_DIR": t.TempDir(),
		"PUSH_CONSUMERS": "parked", "PUSH_URL": p.front.URL,
	}
	c, err := app.ReadConfig(environment(vars))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, c, app.RoleDeadLetters)
	for name, change := range map[string]func(*http.Request){
		"a page":       func(r *http.Request) { r.Header.Set("Origin", "http://"+w.Addr()) },
		"a name":       func(r *http.Request) { r.Host = "attacker.example.com" },
		"this machine": func(*http.Request) {},
	} {
		req, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+w.Addr()+"/push/parked", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		change(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // its status says it all
		if want := map[bool]int{true: 400, false: 403}[name == "this machine"]; resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, want)
		}
	}
	vars["LISTEN"] = "0.0.0.0:0"
	if c, err = app.ReadConfig(environment(vars)); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Start(t.Context(), c, []app.Role{app.RoleDeadLetters}, logger(t)); err == nil || !strings.Contains(err.Error(), "PUSH_AUDIENCE") {
		t.Errorf("started where others can reach it: %v", err)
	}
}
