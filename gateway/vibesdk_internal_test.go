package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzTicket: nothing is a ticket but what was issued, for that agent, in its time, and as it was spelled.
func FuzzTicket(f *testing.F) {
	for _, text := range []string{"", "tk_", "tk_00", "tk_0123456789abcdef0123456789abcdef", "tkv_u_0123456789abcdef0123456789abcdef", "tk_" + strings.Repeat("0", 2*(ticketHead+33)), "tk_\xff"} {
		f.Add(text, "user", "agent", uint16(3), byte('x'))
	}
	t1, err := newTickets("a secret of any length", nil)
	if err != nil {
		f.Fatal(err)
	}
	t2, err := newTickets("another secret of any length", nil)
	if err != nil {
		f.Fatal(err)
	}
	now := time.UnixMilli(1_772_000_000_000)
	f.Fuzz(func(t *testing.T, text, user, agent string, at uint16, to byte) {
		if got, err := t1.read(text, agent, now); err == nil {
			t.Fatalf("%q lets %q in", text, got)
		} else if len(text) > 8 && strings.Contains(err.Error(), text) {
			t.Fatalf("the error tells the ticket: %v", err)
		}
		ticket, err := t1.issue(agent, user, now)
		if user == "" || len(user) > maxUser {
			if err == nil {
				t.Fatalf("a ticket for a user of %d bytes", len(user))
			}
			return
		}
		if got, err := t1.read(ticket, agent, now); err != nil || got != user {
			t.Fatalf("a ticket for %q lets %q in, %v", user, got, err)
		}
		if _, err := t1.read(ticket, agent, now.Add(time.Millisecond)); !errors.Is(err, errTicketExpired) {
			t.Fatalf("after its end: %v", err)
		}
		if _, err := t2.read(ticket, agent, now); !errors.Is(err, errTicketForged) {
			t.Fatalf("with another key: %v", err)
		}
		for _, other := range []string{agent + "x", "x" + agent, user + agent} {
			if _, err := t1.read(ticket, other, now); err == nil && other != agent {
				t.Fatalf("a ticket for %q lets in at %q", agent, other)
			}
		}
		changed := []byte(ticket)
		changed[int(at)%len(changed)] = to
		for _, other := range []string{string(changed), ticket + string(to), ticket[:len(ticket)-1], strings.ToUpper(ticket)} {
			if _, err := t1.read(other, agent, now); err == nil && other != ticket {
				t.Fatalf("%q lets in like %q", other, ticket)
			}
		}
	})
}

// FuzzToken signs any header and any claims: a token is taken only when a reader of another make finds all it must have, and always
// when it is written plainly. What is not signed is never taken.
func FuzzToken(f *testing.F) {
	good := `{"sub":"u","email":"e","sessionId":"s","type":"access","iat":1772000000,"exp":1772000001}`
	for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"none"}`, `{"alg":"HS256","typ":"JWT"}`, `{}`, `{"alg":1}`, ``} {
		for _, claims := range []string{good, `{}`, `[]`, `null`, strings.Replace(good, "1772000001", `"x"`, 1), strings.Replace(good, `"iat"`, `"nbf":1e99,"iat"`, 1), strings.Replace(good, "access", "refresh", 1), strings.Replace(good, `"sub"`, `"Sub"`, 1)} {
			f.Add(header, claims, "a.b.c")
		}
	}
	secret := []byte("0123456789abcdef0123456789abcdef")
	now := time.Unix(1_772_000_000, 0)
	f.Fuzz(func(t *testing.T, header, claims, text string) {
		if user, err := readToken(text, secret, now); err == nil {
			t.Fatalf("%q lets %q in", text, user)
		}
		sign := func(header, claims string) string {
			signing := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(signing))
			return signing + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}
		token := sign(header, claims)
		user, err := readToken(token, secret, now)
		var h, c map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(claims), &c) != nil || h["alg"] != "HS256" || len(token) > maxToken {
			if err == nil {
				t.Fatalf("%s %s lets %q in", header, claims, user)
			}
			return
		}
		number := func(name string) float64 {
			if n, ok := c[name].(float64); ok {
				return n
			}
			return math.NaN()
		}
		word := func(name string) string { s, _ := c[name].(string); return s }
		at := float64(now.Unix())
		want := number("exp") > at && number("iat") <= at+tokenSkew.Seconds() && word("type") == "access" &&
			word("email") != "" && word("sessionId") != "" && word("sub") != "" && len(word("sub")) <= maxUser
		if nbf, ok := c["nbf"]; ok && nbf != nil {
			want = want && number("nbf") <= at
		}
		for _, name := range []string{"exp", "iat", "nbf"} {
			if n := number(name); math.Abs(n) > 1e15 || n == 0 || math.Abs(n-at) < 1 || math.Abs(n-at-tokenSkew.Seconds()) < 1 {
				return // beyond what a time holds, the zero that means none, or at the edge, where fractions are rounded
			}
		}
		if err == nil && (!want || user != word("sub")) {
			t.Fatalf("%s %s: %q, want in: %t", header, claims, user, want)
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range c { // what is none of these must be of its kind where the library knows it
			if _, isText := value.(string); (name == "iss" || name == "jti" || name == "aud" || slices.Contains([]string{"sub", "email", "sessionId", "type"}, name)) && !isText {
				return
			}
		}
		if _, err := readToken(sign(`{"alg":"HS256"}`, string(written)), secret, now); want && err != nil {
			t.Fatalf("%s is refused", written)
		}
	})
}

// FuzzStateOwner: whatever a state is, its owner is what a decoder of another make finds.
func FuzzStateOwner(f *testing.F) {
	for _, state := range []string{
		"", "null", "[]", `{"metadata":{"userId":"u","agentId":"a"}}`, `{"inferenceContext":{"userId":"u"}}`, `{"metadata":{},"inferenceContext":{"userId":"u"}}`,
		`{"metadata":{"userId":"u","userId":1}}`, `{"metadata":{"userId":"u"},"metadata":5}`, ` {"metadata" : {"userId" : "\u0041"} } `, `{"metadata":{"userId":"u"}`,
	} {
		f.Add([]byte(state))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		user, _ := stateOwner(state)
		var top map[string]json.RawMessage
		if json.Unmarshal(state, &top) != nil || !utf8.Valid(state) {
			if user != "" && !json.Valid(state) {
				t.Fatalf("%q is no JSON and belongs to %q", state, user)
			}
			return
		}
		want := ""
		for _, name := range []string{"metadata", "inferenceContext"} {
			var inner map[string]json.RawMessage
			if want == "" && json.Unmarshal(top[name], &inner) == nil && len(inner["userId"]) > 0 && inner["userId"][0] == '"' {
				_ = json.Unmarshal(inner["userId"], &want) // it is a string
			}
		}
		if user != want && !strings.Contains(want, "\uFFFD") { // halves of surrogates are read in another way
			t.Fatalf("%s belongs to %q, want %q", state, user, want)
		}
	})
}

// FuzzVibeSDKFrames: whatever a client's id, a state and a message are, frames are JSON whose type is the frame that was broadcast.
func FuzzVibeSDKFrames(f *testing.F) {
	f.Add(`{"a":1}`, "id")
	f.Add("\"\u2028\x00<>&\\\"", "\xff\"")
	f.Fuzz(func(t *testing.T, inner, sender string) {
		var out map[string]string
		if err := json.Unmarshal(broadcastFrame([]byte(inner), sender), &out); err != nil {
			t.Fatalf("%q: %v", inner, err)
		}
		if _, told := out["0"]; utf8.ValidString(inner) && out["type"] != inner || told != (sender != "") || utf8.ValidString(sender) && out["0"] != sender {
			t.Fatalf("%q of %q is broadcast as %v", inner, sender, out)
		}
		if !json.Valid(vibeSDKErrorFrame(inner)) {
			t.Fatalf("the error %q is no JSON", inner)
		}
	})
}
