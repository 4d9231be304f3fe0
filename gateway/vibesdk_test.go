package gateway_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
)

// Bodies of refusals as VibeSDK writes them.
func vibeRefusal(text string) string {
	return `{"success":false,"error":{"message":"` + text + `","name":"Error"},"message":"An error occurred"}`
}

const vibeForbidden = `{"success":false,"error":{"message":"You can only access your own resources","type":"FORBIDDEN","action":"insufficient_permissions"}}`

// want compares an answer: JSON as values, other bodies byte for byte.
func (a answer) want(t *testing.T, what string, status int, body string) {
	t.Helper()
	same := a.body == body
	if strings.HasPrefix(body, "{") {
		same = strings.HasPrefix(a.body, "{") && sameJSON(t, a.body, body)
	}
	if a.StatusCode != status || !same {
		t.Errorf("%s: %d %s\n    want %d %s", what, a.StatusCode, a.body, status, body)
	}
}

// TestVibeSDKTokens: a token that lacks anything, or is signed in any other way, is nobody's.
func TestVibeSDKTokens(t *testing.T) {
	t.Parallel()
	v := startVibe(t)
	v.own(t, "a1", `{"metadata":{"agentId":"a1","userId":"u1"}}`)
	good := tokenFor("u1")
	body := strings.Split(good, ".")
	bad := map[string]string{
		"none":              "",
		"garbage":           "x.y.z",
		"two parts":         body[0] + "." + body[1],
		"four parts":        good + ".x",
		"another secret":    signed(hs256, userClaims("u1"), "another-"+jwtSecret),
		"cut signature":     good[:len(good)-1],
		"swapped body":      body[0] + "." + strings.Split(tokenFor("u2"), ".")[1] + "." + body[2],
		"alg none":          signed(`{"alg":"none"}`, userClaims("u1"), jwtSecret),
		"alg none unsigned": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + body[1] + ".",
		"alg HS512":         signed(`{"alg":"HS512"}`, userClaims("u1"), jwtSecret),
		"alg RS256":         signed(`{"alg":"RS256"}`, userClaims("u1"), jwtSecret),
		"no alg":            signed(`{}`, userClaims("u1"), jwtSecret),
		"expired":           tokenFor("u1", claims{"exp": noon.Unix()}),
		"no exp":            tokenFor("u1", claims{"exp": nil}),
		"exp is text":       tokenFor("u1", claims{"exp": "never"}),
		"no iat":            tokenFor("u1", claims{"iat": nil}),
		"iat is text":       tokenFor("u1", claims{"iat": "now"}),
		"made tomorrow":     tokenFor("u1", claims{"iat": noon.Unix() + 86400}),
		"not before later":  tokenFor("u1", claims{"nbf": noon.Unix() + 60}),
		"refresh":           tokenFor("u1", claims{"type": "refresh"}),
		"no type":           tokenFor("u1", claims{"type": nil}),
		"owner preview":     signed(hs256, claims{"purpose": "owner_preview", "sub": "u1", "iat": noon.Unix(), "exp": noon.Unix() + 60}, jwtSecret),
		"no sub":            tokenFor("u1", claims{"sub": nil}),
		"empty sub":         tokenFor("u1", claims{"sub": ""}),
		"sub is a number":   tokenFor("u1", claims{"sub": 1}),
		"no email":          tokenFor("u1", claims{"email": nil}),
		"no session":        tokenFor("u1", claims{"sessionId": nil}),
		"long":              tokenFor("u1", claims{"x": strings.Repeat("x", 9<<10)}),
		"sub of 257 bytes":  tokenFor(strings.Repeat("u", 257)),
	}
	for what, token := range bad {
		for _, at := range []struct{ method, path string }{{"GET", "/api/agent/a1/ws"}, {"GET", "/api/agent/a1/connect"}, {"GET", "/api/agent/a1/preview"}, {"POST", "/api/ws-ticket"}} {
			headers := append([]string{"Origin", v.URL}, upgradeHeaders...)
			if token != "" {
				headers = append(headers, "Authorization", bearer(token))
			}
			got := v.call(t, at.method, at.path, `{"resourceType":"agent","resourceId":"a1"}`, with(headers...))
			got.want(t, what+" at "+at.path, http.StatusUnauthorized, vibeRefusal("Authentication required"))
		}
	}
	for what, token := range map[string]string{
		"good":              good,
		"typ as well":       signed(`{"typ":"JWT","alg":"HS256"}`, userClaims("u1"), jwtSecret),
		"a clock ahead":     tokenFor("u1", claims{"iat": noon.Unix() + 60}),
		"a claim more":      tokenFor("u1", claims{"jti": "x", "aud": []string{"y"}}),
		"sub of 256 bytes":  "",
		"expires next tick": tokenFor("u1", claims{"exp": noon.Unix() + 1}),
	} {
		user := "u1"
		if token == "" {
			user = strings.Repeat("u", 256)
			token = tokenFor(user)
		}
		v.own(t, "a2", `{"metadata":{"agentId":"a2","userId":"`+user+`"}}`)
		got := v.call(t, "GET", "/api/agent/a2/connect", "", with("Authorization", bearer(token)))
		host := strings.TrimPrefix(v.URL, "http://")
		got.want(t, what, http.StatusOK, `{"success":true,"data":{"websocketUrl":"ws://`+host+`/api/agent/a2/ws","agentId":"a2"}}`)
		if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers %v", got.Header)
		}
	}
	if log := v.log.String(); tells(log, body[2], jwtSecret) {
		t.Error("a token or the secret is in the log")
	}
}

// TestVibeSDKTokenPlaces: header, then cookies, then the query, and the first place that has a token counts.
func TestVibeSDKTokenPlaces(t *testing.T) {
	t.Parallel()
	v := startVibe(t)
	v.own(t, "a1", `{"inferenceContext":{"agentId":"a1","userId":"u1"}}`)
	good, bad := tokenFor("u1"), tokenFor("u1", claims{"exp": 1})
	for _, c := range []struct {
		what, query string
		headers     []string
		in          bool
	}{
		{"header", "", []string{"Authorization", bearer(good)}, true},
		{"header in small letters", "", []string{"Authorization", "bearer " + good}, true},
		{"another scheme", "", []string{"Authorization", "Basic " + good}, false},
		{"cookie accessToken", "", []string{"Cookie", "x=y; accessToken=" + good}, true},
		{"cookie auth_token", "", []string{"Cookie", "auth_token=" + good}, true},
		{"cookie jwt", "", []string{"Cookie", "jwt=" + good}, true},
		{"cookie of another name", "", []string{"Cookie", "token=" + good}, false},
		{"the first cookie counts", "", []string{"Cookie", "jwt=" + good + "; accessToken=" + bad}, false},
		{"an empty cookie is none", "", []string{"Cookie", "accessToken=; jwt=" + good}, true},
		{"of two of a name the last", "", []string{"Cookie", "accessToken=" + bad + "; accessToken=" + good}, true},
		{"query token", "?token=" + good, nil, true},
		{"query access_token", "?access_token=" + good, nil, true},
		{"query token first", "?access_token=" + good + "&token=" + bad, nil, false},
		{"header before cookie", "", []string{"Authorization", bearer(bad), "Cookie", "accessToken=" + good}, false},
		{"cookie before query", "?token=" + good, []string{"Cookie", "accessToken=" + bad}, false},
		{"another scheme leaves the cookie", "", []string{"Authorization", "Basic x", "Cookie", "accessToken=" + good}, true},
	} {
		got := v.call(t, "GET", "/api/agent/a1/ws"+c.query, "", with(append(c.headers, "Origin", v.URL)...))
		if c.in { // all but the upgrade is well
			got.want(t, c.what, http.StatusUpgradeRequired, "Expected WebSocket upgrade")
		} else {
			got.want(t, c.what, http.StatusUnauthorized, vibeRefusal("Authentication required"))
		}
		if c.query != "" { // only where a browser can do nothing else
			v.call(t, "GET", "/api/agent/a1/connect"+c.query, "", with(c.headers...)).want(t, c.what, http.StatusUnauthorized, vibeRefusal("Authentication required"))
		}
	}
}

// TestVibeSDKRefusals holds every other refusal of the three routes, with its status and body.
func TestVibeSDKRefusals(t *testing.T) {
	t.Parallel()
	v := startVibe(t, func(o *gateway.Options) { o.APIKey = "0123456789abcdef" }) // which these routes do not ask for
	v.own(t, "mine", `{"metadata":{"agentId":"mine","userId":"u1"},"inferenceContext":{"userId":"u2"}}`)
	v.own(t, "old", `{"inferenceContext":{"agentId":"old","userId":"u1"},"metadata":{}}`)
	v.own(t, "theirs", `{"metadata":{"agentId":"theirs","userId":"u2"}}`)
	v.own(t, "raw", `{"metadata":{"userId":"u1"}}`)
	v.own(t, "odd", `{"metadata":{"userId":["u1"]},"inferenceContext":"u1","userId":"u1"}`)
	v.own(t, "other-agent/mine", `{"metadata":{"agentId":"mine","userId":"u1"}}`)
	v.own(t, "list", `[{"metadata":{"userId":"u1"}}]`)
	token := tokenFor("u1")
	user := []string{"Authorization", bearer(token), "Origin", v.URL}
	ws := append(append([]string{}, user...), upgradeHeaders...)
	cookie := append([]string{"Cookie", "accessToken=" + token}, upgradeHeaders...)
	used := v.ticket(t, "u1", "mine")
	v.dial(t, "/api/agent/mine/ws?ticket="+used).CloseNow()
	other := v.ticket(t, "u2", "theirs")
	forged := v.ticket(t, "u1", "mine")
	forged = forged[:len(forged)-1] + string('0'+(forged[len(forged)-1]-'0'+1)%10)
	for _, c := range []struct {
		what, method, path, body string
		headers                  []string
		status                   int
		want                     string
	}{
		{"nobody's agent", "GET", "/api/agent/absent/ws", "", ws, 403, vibeForbidden},
		{"another's agent", "GET", "/api/agent/theirs/ws", "", ws, 403, vibeForbidden},
		{"the owner of newer versions counts", "GET", "/api/agent/mine/ws", "", append([]string{"Authorization", bearer(tokenFor("u2"))}, upgradeHeaders...), 403, vibeForbidden},
		{"an owner that is no text", "GET", "/api/agent/odd/ws", "", ws, 403, vibeForbidden},
		{"a state that is no object", "GET", "/api/agent/list/ws", "", ws, 403, vibeForbidden},
		{"an agent of another kind", "GET", "/api/agent/other-agent%2Fmine/ws", "", ws, 403, vibeForbidden},
		{"a name that no session has", "GET", "/api/agent/" + strings.Repeat("x", 200) + "/ws", "", ws, 403, vibeForbidden},
		{"no upgrade", "GET", "/api/agent/mine/ws", "", user, 426, "Expected WebSocket upgrade"},
		{"an upgrade in capitals", "GET", "/api/agent/mine/ws", "", append([]string{"Upgrade", "WebSocket", "Connection", "Upgrade"}, user...), 426, "Expected WebSocket upgrade"},
		{"older states have an owner, too", "GET", "/api/agent/old/ws", "", user, 426, "Expected WebSocket upgrade"},
		{"no upgrade comes before the origin", "GET", "/api/agent/mine/ws", "", []string{"Cookie", "accessToken=" + token}, 426, "Expected WebSocket upgrade"},
		{"a page without an origin", "GET", "/api/agent/mine/ws", "", cookie, 403, "Forbidden: Invalid origin"},
		{"a page of another origin", "GET", "/api/agent/mine/ws", "", append([]string{"Origin", "https://evil.example.com"}, cookie...), 403, "Forbidden: Invalid origin"},
		{"a page of a host that ends alike", "GET", "/api/agent/mine/ws", "", append([]string{"Origin", "https://evil-app.example.com"}, cookie...), 403, "Forbidden: Invalid origin"},
		{"a page without a host", "GET", "/api/agent/mine/ws", "", append([]string{"Origin", "null"}, cookie...), 403, "Forbidden: Invalid origin"},
		{"another origin with a bearer token", "GET", "/api/agent/mine/ws", "", append(append([]string{}, ws...), "Origin", "https://evil.example.com"), 403, "Forbidden: Invalid origin"},

		{"an empty ticket", "GET", "/api/agent/mine/ws?ticket=", "", ws, 403, vibeRefusal("Invalid or expired ticket")},
		{"a short ticket", "GET", "/api/agent/mine/ws?ticket=tk_00", "", ws, 403, vibeRefusal("Invalid or expired ticket")},
		{"a ticket of VibeSDK's form", "GET", "/api/agent/mine/ws?ticket=tk_0123456789abcdef0123456789abcdef", "", ws, 403, vibeRefusal("Invalid or expired ticket")},
		{"a forged ticket", "GET", "/api/agent/mine/ws?ticket=" + forged, "", ws, 403, vibeRefusal("Invalid or expired ticket")},
		{"a used ticket", "GET", "/api/agent/mine/ws?ticket=" + used, "", ws, 403, vibeRefusal("Invalid or expired ticket")},
		{"a used ticket in capitals", "GET", "/api/agent/mine/ws?ticket=tk_" + strings.ToUpper(used[3:]), "", ws, 403, vibeRefusal("Invalid or expired ticket")},
		{"a ticket for another agent", "GET", "/api/agent/mine/ws?ticket=" + other, "", ws, 403, vibeRefusal("Invalid or expired ticket")},
		{"a token as ticket", "GET", "/api/agent/mine/ws?ticket=" + token, "", ws, 403, vibeRefusal("Invalid or expired ticket")},

		{"no JSON", "POST", "/api/ws-ticket", "{", user, 400, vibeRefusal("Invalid JSON body")},
		{"nothing", "POST", "/api/ws-ticket", "", user, 400, vibeRefusal("Invalid JSON body")},
		{"too much", "POST", "/api/ws-ticket", `{"x":"` + strings.Repeat("x", 5<<10) + `"}`, user, 413, vibeRefusal("the body is larger than 4096 bytes")},
		{"no object", "POST", "/api/ws-ticket", "null", user, 400, vibeRefusal("Invalid resourceType")},
		{"no type", "POST", "/api/ws-ticket", `{"resourceId":"mine"}`, user, 400, vibeRefusal("Invalid resourceType")},
		{"another type", "POST", "/api/ws-ticket", `{"resourceType":"space","resourceId":"mine"}`, user, 400, vibeRefusal("Invalid resourceType")},
		{"a store that is not here", "POST", "/api/ws-ticket", `{"resourceType":"vault"}`, user, 400, vibeRefusal("Invalid resourceType")},
		{"no id", "POST", "/api/ws-ticket", `{"resourceType":"agent"}`, user, 400, vibeRefusal("resourceId is required for agent tickets")},
		{"an id that is no text", "POST", "/api/ws-ticket", `{"resourceType":"agent","resourceId":{}}`, user, 400, vibeRefusal("resourceId is required for agent tickets")},
		{"ticket for another's agent", "POST", "/api/ws-ticket", `{"resourceType":"agent","resourceId":"theirs"}`, user, 403, vibeRefusal("Access denied")},
		{"ticket for nobody's agent", "POST", "/api/ws-ticket", `{"resourceType":"agent","resourceId":"absent"}`, user, 403, vibeRefusal("Access denied")},
		{"ticket for a page of another origin", "POST", "/api/ws-ticket", `{"resourceType":"agent","resourceId":"mine"}`, []string{"Cookie", "accessToken=" + token, "Origin", "https://evil.example.com"}, 403, "Forbidden: Invalid origin"},

		{"ticket for another site", "POST", "/api/ws-ticket", `{"resourceType":"agent","resourceId":"mine"}`, []string{"Cookie", "accessToken=" + token, "Sec-Fetch-Site", "cross-site"}, 403, "Forbidden: Invalid origin"},
		{"the preview for a page of another origin", "GET", "/api/agent/mine/preview", "", []string{"Cookie", "accessToken=" + token, "Origin", "https://evil.example.com"}, 403, "Forbidden: Invalid origin"},
		{"the preview as an image of another site", "GET", "/api/agent/mine/preview", "", []string{"Cookie", "accessToken=" + token, "Sec-Fetch-Site", "cross-site"}, 403, "Forbidden: Invalid origin"},
		{"the preview as an image of a preview", "GET", "/api/agent/mine/preview", "", []string{"Cookie", "accessToken=" + token, "Sec-Fetch-Site", "same-site"}, 403, "Forbidden: Invalid origin"},
		{"the preview by its address", "GET", "/api/agent/mine/preview", "", []string{"Cookie", "accessToken=" + token, "Sec-Fetch-Site", "none"}, 500, vibeRefusal("Failed to deploy preview")},

		{"where is another's agent", "GET", "/api/agent/theirs/connect", "", user, 403, vibeForbidden},
		{"the preview of another's agent", "GET", "/api/agent/theirs/preview", "", user, 403, vibeForbidden},
		{"the preview of an agent that has not begun", "GET", "/api/agent/raw/preview", "", user, 404, vibeRefusal("Agent instance not found or not initialized")},
		{"the preview of an agent without files", "GET", "/api/agent/mine/preview", "", user, 500, vibeRefusal("Failed to deploy preview")},
		{"where is an agent that has not begun", "GET", "/api/agent/raw/connect", "", user, 404, vibeRefusal("Agent instance not found or not initialized")},
	} {
		got := v.call(t, c.method, c.path, c.body, with(c.headers...))
		got.want(t, c.what, c.status, c.want)
		if tells(got.body, token, used, other, forged, "u2", jwtSecret) {
			t.Errorf("%s: the answer tells a secret: %s", c.what, got.body)
		}
	}
	secure := v.call(t, "GET", "/api/agent/mine/connect", "", with("Authorization", bearer(token), "X-Forwarded-Proto", "https"))
	secure.want(t, "behind TLS", http.StatusOK, `{"success":true,"data":{"websocketUrl":"wss://`+strings.TrimPrefix(v.URL, "http://")+`/api/agent/mine/ws","agentId":"mine"}}`)
	// What is not VibeSDK's is behind the usual guard.
	v.call(t, "POST", "/api/agent/mine/ws", "", with(user...)).wantProblem(t, 401, "unauthorized")
	v.call(t, "GET", "/api/agent/mine/analyze", "", with(user...)).wantProblem(t, 401, "unauthorized")
	v.call(t, "GET", "/api/agent/mine/ws/x", "", with("Authorization", "Bearer 0123456789abcdef")).wantProblem(t, 404, "no-route")
	if log := v.log.String(); tells(log, token, used, other, forged, jwtSecret) || !strings.Contains(log, "a ticket was refused") {
		t.Errorf("the log tells a secret, or nothing of refused tickets")
	}
}

// TestVibeSDKWithoutASecret: then there are no such routes.
func TestVibeSDKWithoutASecret(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, at := range []string{"GET /api/agent/a/ws", "GET /api/agent/a/connect", "GET /api/agent/a/preview", "POST /api/ws-ticket"} {
		method, path, _ := strings.Cut(at, " ")
		f.call(t, method, path, "").wantProblem(t, 404, "no-route")
	}
	for _, o := range []gateway.VibeSDKOptions{{JWTSecret: strings.Repeat("x", 31)}, {JWTSecret: jwtSecret}} {
		options := f.gateway.Options
		if options.VibeSDK = o; o.JWTSecret == jwtSecret {
			options.Limits = nil
		}
		if _, err := gateway.New(options); err == nil || strings.Contains(err.Error(), o.JWTSecret) {
			t.Errorf("a gateway that cannot take tickets: %v", err)
		}
	}
}

// TestVibeSDKTicketLives: a ticket ends after 15 seconds, in which it is good for any way to connect.
func TestVibeSDKTicketLives(t *testing.T) {
	t.Parallel()
	v := startVibe(t)
	v.own(t, "mine", `{"metadata":{"agentId":"mine","userId":"u1"}}`)
	last, late := v.ticket(t, "u1", "mine"), v.ticket(t, "u1", "mine")
	v.now.Store(15_000)
	// No token, and a page that may not connect otherwise: the ticket says who asked.
	v.dial(t, "/api/agent/mine/ws?ticket="+last, dialing("Origin", "https://evil.example.com")).want(t, identity("code-generator-agent", "mine", false))
	v.now.Store(15_001)
	got := v.call(t, "GET", "/api/agent/mine/ws?ticket="+late, "", with(upgradeHeaders...))
	got.want(t, "after 15 s", http.StatusForbidden, vibeRefusal("Invalid or expired ticket"))
	// One whose agent changed hands meanwhile.
	v.now.Store(0)
	stale := v.ticket(t, "u1", "mine")
	v.own(t, "mine", `{"metadata":{"agentId":"mine","userId":"u2"}}`)
	v.call(t, "GET", "/api/agent/mine/ws?ticket="+stale, "", with(upgradeHeaders...)).want(t, "another owner", http.StatusForbidden, vibeForbidden)
}

// TestVibeSDKFailsClosed: when nobody can say whether a ticket was used, nobody is let in, and nothing tells the ticket.
func TestVibeSDKFailsClosed(t *testing.T) {
	t.Parallel()
	v := startVibe(t)
	v.own(t, "mine", `{"metadata":{"agentId":"mine","userId":"u1"}}`)
	ticket := v.ticket(t, "u1", "mine")
	v.down.Store(true)
	for range 2 {
		got := v.call(t, "GET", "/api/agent/mine/ws?ticket="+ticket, "", with(upgradeHeaders...))
		got.want(t, "backend down", http.StatusServiceUnavailable, vibeRefusal("Authentication check failed"))
		if got.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	v.down.Store(false)
	v.dial(t, "/api/agent/mine/ws?ticket="+ticket).want(t, identity("code-generator-agent", "mine", false))
	if log := v.log.String(); tells(log, ticket, ticket[3:40], "password=secret") {
		t.Errorf("the log tells a secret:\n%s", log)
	}
}

// TestVibeSDKLimits: calls are charged to their address, users to themselves, and tickets to nobody.
func TestVibeSDKLimits(t *testing.T) {
	t.Parallel()
	v := startVibe(t, func(o *gateway.Options) { o.LimitCalls = true })
	for _, user := range []string{"u1", "u2"} {
		v.own(t, user, `{"metadata":{"agentId":"x","userId":"`+user+`"}}`)
	}
	tickets := []string{v.ticket(t, "u1", "u1"), v.ticket(t, "u1", "u1"), v.ticket(t, "u1", "u1")}
	got := v.call(t, "GET", "/api/agent/u1/connect", "", with("Authorization", bearer(tokenFor("u1"))))
	text := "Rate limit exceeded for authRateLimit. Please try again later."
	got.want(t, "the fourth call", http.StatusTooManyRequests, `{"success":false,"error":{"message":"`+text+`","name":"RateLimitExceededError","type":"RATE_LIMITED"},"message":"`+text+`"}`)
	if got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	v.ticket(t, "u2", "u2")
	for _, ticket := range tickets {
		v.dial(t, "/api/agent/u1/ws?ticket="+ticket).want(t, identity("code-generator-agent", "u1", false))
	}
	for n := range 4 {
		got = v.call(t, "GET", "/api/agent/u1/connect", "", with("Authorization", "Bearer guess"))
		if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusTooManyRequests}[n < 3]; got.StatusCode != want {
			t.Errorf("guess %d: %d, want %d", n, got.StatusCode, want)
		}
	}
}

// TestVibeSDKTicketsAreUsedOnce: of 64 connections at once with one ticket, on two gateways, exactly one is let in.
func TestVibeSDKTicketsAreUsedOnce(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (database string, limits limitsOn){
		"sqlite": func(t *testing.T) (string, limitsOn) {
			database := "sqlite:" + filepath.Join(t.TempDir(), "shared.db")
			return database, sqlLimits(database)
		},
		"postgres": func(t *testing.T) (string, limitsOn) {
			database := testenv.Postgres(t)
			return database, sqlLimits(database)
		},
		"redis": func(t *testing.T) (string, limitsOn) {
			address, prefix := testenv.Redis(t)
			return testenv.Postgres(t), redisLimits(address, prefix)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, limits := open(t)
			gateways := []*vibe{startVibeOn(t, database, limits), startVibeOn(t, database, limits)}
			gateways[0].own(t, "mine", `{"metadata":{"agentId":"mine","userId":"u1"}}`)
			for round := range 3 {
				ticket := gateways[round%2].ticket(t, "u1", "mine")
				var admitted, refused, failed atomic.Int32
				var all sync.WaitGroup
				begin := make(chan struct{})
				for i := range 64 {
					all.Go(func() {
						<-begin
						// Without an upgrade the answer tells the rest of the checks apart from the ticket's.
						got := gateways[i%2].call(t, "GET", "/api/agent/mine/ws?ticket="+ticket, "")
						switch got.StatusCode {
						case http.StatusUpgradeRequired:
							admitted.Add(1)
						case http.StatusForbidden:
							refused.Add(1)
						default:
							failed.Add(1)
						}
					})
				}
				close(begin)
				all.Wait()
				if admitted.Load() != 1 || failed.Load() != 0 {
					t.Errorf("round %d: %d admitted, %d refused, %d failed", round, admitted.Load(), refused.Load(), failed.Load())
				}
			}
			// One gateway's ticket lets in at the other.
			gateways[1].dial(t, "/api/agent/mine/ws?ticket="+gateways[0].ticket(t, "u1", "mine")).want(t, identity("code-generator-agent", "mine", false))
		})
	}
}

// TestVibeSDKTicketKeysAreDigests: what the limits' backend keeps of a ticket cannot be used as one.
func TestVibeSDKTicketKeysAreDigests(t *testing.T) {
	t.Parallel()
	var keys keyLog
	database := "sqlite:" + filepath.Join(t.TempDir(), "keys.db")
	v := startVibeOn(t, database, func(t testing.TB) ratelimit.Backend {
		keys.Backend = sqlLimits(database)(t)
		return &keys
	})
	v.own(t, "mine", `{"metadata":{"agentId":"mine","userId":"u1"}}`)
	ticket := v.ticket(t, "u1", "mine")
	v.dial(t, "/api/agent/mine/ws?ticket="+ticket).want(t, identity("code-generator-agent", "mine", false))
	if seen := fmt.Sprint(keys.keys()); !strings.Contains(seen, "wsTicket") || tells(seen, ticket[3:20], ticket[len(ticket)-16:]) {
		t.Errorf("keys %s", seen)
	}
}
