package gateway_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/redislimit"
	"vibesdk-gcp/platform/ratelimit/sqllimit"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

const jwtSecret = "Correct-Horse-Battery-Staple-0123456789"

// claims are those of a token.
type claims map[string]any

// signed makes a token by hand: the tokens under test are not made by the library that reads them.
func signed(header string, c claims, secret string) string {
	body, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const hs256 = `{"alg":"HS256"}`

// userClaims are those of a good token at noon.
func userClaims(user string, change ...claims) claims {
	c := claims{"sub": user, "email": user + "@example.com", "sessionId": "session-1", "type": "access", "iat": noon.Unix(), "exp": noon.Unix() + 3600}
	for _, set := range change {
		for name, value := range set {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	return c
}

func tokenFor(user string, change ...claims) string {
	return signed(hs256, userClaims(user, change...), jwtSecret)
}

func bearer(token string) string { return "Bearer " + token }

// logLines keeps what is logged.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// vibe is a gateway with VibeSDK's routes, whose clock the test sets.
type vibe struct {
	*live

	now  atomic.Int64 // milliseconds after noon
	down atomic.Bool  // the limits' backend
	log  logLines
}

// limitsOn opens the limits of a gateway, and says what they are on.
type limitsOn func(t testing.TB) ratelimit.Backend

func sqlLimits(database string) limitsOn {
	return func(t testing.TB) ratelimit.Backend {
		t.Helper()
		db, err := sqldb.Open(t.Context(), database, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
			t.Fatal(err)
		}
		return sqllimit.New(db, sqllimit.Options{})
	}
}

func redisLimits(address, prefix string) limitsOn {
	return func(t testing.TB) ratelimit.Backend {
		t.Helper()
		backend, err := redislimit.Open(address, redislimit.Options{Prefix: prefix, Timeout: agentDeadline})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { backend.Close() })
		return backend
	}
}

func startVibe(t testing.TB, change ...func(*gateway.Options)) *vibe {
	t.Helper()
	database := "sqlite:" + filepath.Join(t.TempDir(), "vibe.db")
	return startVibeOn(t, database, sqlLimits(database), change...)
}

func startVibeOn(t testing.TB, database string, limits limitsOn, change ...func(*gateway.Options)) *vibe {
	t.Helper()
	v := &vibe{}
	limiter, err := ratelimit.New(breakable{limits(t), &v.down}, ratelimit.Options{
		Limits: map[string]ratelimit.Limit{
			ratelimit.APIRateLimit:  {Config: ratelimit.Config{Limit: 10_000, Period: 60}},
			ratelimit.AuthRateLimit: {Config: ratelimit.Config{Limit: 3, Period: 60}},
		},
		Deadline: time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	v.live = startLiveOn(t, database, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Limits = limiter
		o.Logger = slog.New(slog.NewTextHandler(&v.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.VibeSDK = gateway.VibeSDKOptions{JWTSecret: jwtSecret, Now: func() time.Time { return noon.Add(time.Duration(v.now.Load()) * time.Millisecond) }}
		o.Agents.Origins = []string{"app.example.com"}
	}}, change...)...)
	return v
}

// own stores a state and waits until it is there.
func (v *vibe) own(t testing.TB, id, state string) {
	t.Helper()
	v.put(t, id, gen.StateMutation_PUT, "", state)
	for r, err := range v.store.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if stored, ok := r.State(); ok && string(stored) == state {
			return
		}
	}
}

// ticket asks for one as VibeSDK's SDK does.
func (v *vibe) ticket(t testing.TB, user, agent string) string {
	t.Helper()
	got := v.call(t, "POST", "/api/ws-ticket", `{"resourceType":"agent","resourceId":"`+agent+`"}`, with("Authorization", bearer(tokenFor(user)), "Content-Type", "application/json"))
	var answer struct {
		Success bool
		Data    struct {
			Ticket    string
			ExpiresIn int
			ExpiresAt time.Time
		}
	}
	got.decode(t, &answer)
	if !answer.Success || answer.Data.ExpiresIn != 15 || len(answer.Data.Ticket) < 35 {
		t.Fatalf("ticket: %d %s", got.StatusCode, got.body)
	}
	return answer.Data.Ticket
}

// upgradeHeaders ask for a WebSocket.
var upgradeHeaders = []string{"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}

// dialing connects with headers.
func dialing(headers ...string) func(*websocket.DialOptions) {
	return func(o *websocket.DialOptions) {
		for i := 0; i < len(headers); i += 2 {
			o.HTTPHeader.Set(headers[i], headers[i+1])
		}
	}
}

// nested is a frame of the agents protocol as VibeSDK's agents broadcast it.
func nested(t testing.TB, frame, sender string) string {
	t.Helper()
	out := map[string]string{"type": frame}
	if sender != "" {
		out["0"] = sender
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func connected(state string) string {
	return `{"type":"agent_connected","previewUrl":"","state":` + state + `}`
}

func vibeError(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return `{"type":"error","error":` + string(encoded) + `}`
}

// tells reports whether any of the texts has one of the secrets in it.
func tells(text string, secrets ...string) bool {
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret) {
			return true
		}
	}
	return false
}

// keyLog keeps the keys that are charged.
type keyLog struct {
	ratelimit.Backend

	mu   sync.Mutex
	seen []string
}

func (k *keyLog) Take(ctx context.Context, now time.Time, items []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	k.mu.Lock()
	for _, item := range items {
		k.seen = append(k.seen, item.Key)
	}
	k.mu.Unlock()
	return k.Backend.Take(ctx, now, items, dry)
}

func (k *keyLog) keys() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.seen)
}
