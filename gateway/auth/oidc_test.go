package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vibesdk-gcp/gateway/auth"
)

const audience = "https://vibesdk.example.com"

// issuer serves public keys and signs tokens with the private ones.
type issuer struct {
	*httptest.Server

	mu     sync.Mutex
	keys   []jose.JSONWebKey
	asked  int
	broken bool
	age    string
}

func newIssuer(t *testing.T, keys ...jose.JSONWebKey) *issuer {
	t.Helper()
	i := &issuer{keys: keys, age: "public, max-age=3600, must-revalidate"}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked++
		if i.broken {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", i.age)
		set := jose.JSONWebKeySet{}
		for _, k := range i.keys {
			set.Keys = append(set.Keys, k.Public())
		}
		_ = json.NewEncoder(w).Encode(set) // the test sees what is missing
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) questions() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func rsaKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "RS256", Use: "sig"}
}

func sign(t *testing.T, key jose.JSONWebKey, algorithm jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	return signBy(t, jose.SigningKey{Algorithm: algorithm, Key: key}, nil, claims)
}

func signBy(t *testing.T, key jose.SigningKey, o *jose.SignerOptions, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, o)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// world is an issuer and callers that trust it, at a time of the test's.
type world struct {
	issuer  *issuer
	callers *auth.Callers
	key     jose.JSONWebKey
	mu      sync.Mutex
	time    time.Time
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

func newWorld(t *testing.T, more ...jose.JSONWebKey) *world {
	t.Helper()
	w := &world{key: rsaKey(t, "first"), time: time.Now()}
	w.issuer = newIssuer(t, append(more, w.key)...)
	path := filepath.Join(t.TempDir(), "callers.yaml")
	write(t, path, `
- {name: deployer, email: Deployer@project.iam.gserviceaccount.com, scopes: ["deployments:write"]}
- {name: robot, subject: "112233", scopes: ["sessions:read"]}
- {name: past, email: past@example.com, scopes: [admin], expires: 2020-01-01T00:00:00Z}
- {name: ci, sha256: `+auth.Digest("key.with.dots")+`, scopes: [admin]}
`)
	var err error
	w.callers, err = auth.New(auth.Options{
		File: path, Now: w.now, OIDC: auth.OIDC{Audience: audience, KeysURL: w.issuer.URL, Client: w.issuer.Client()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// claims are those of a good token, changed.
func (w *world) claims(change ...any) map[string]any {
	c := map[string]any{
		"iss": auth.GoogleIssuer, "aud": audience, "sub": "998877", "email": "deployer@project.iam.gserviceaccount.com", "email_verified": true,
		"iat": w.now().Add(-time.Minute).Unix(), "exp": w.now().Add(time.Hour).Unix(),
	}
	for i := 0; i < len(change); i += 2 {
		if c[change[i].(string)] = change[i+1]; change[i+1] == nil {
			delete(c, change[i].(string))
		}
	}
	return c
}

func TestAGoodTokenNamesItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		claims map[string]any
		caller string
	}{
		"email":                {w.claims(), "deployer"},
		"email in capitals":    {w.claims("email", "DEPLOYER@project.iam.gserviceaccount.com"), "deployer"},
		"verified as text":     {w.claims("email_verified", "true"), "deployer"},
		"issuer without https": {w.claims("iss", "accounts.google.com"), "deployer"},
		"several audiences":    {w.claims("aud", []string{"x", audience}), "deployer"},
		"subject":              {w.claims("sub", "112233", "email", nil, "email_verified", nil), "robot"},
	} {
		caller, err := w.callers.Identify(t.Context(), sign(t, w.key, jose.RS256, c.claims))
		if err != nil || caller.Name != c.caller {
			t.Errorf("%s: %+v, %v, want %s", name, caller, err, c.caller)
		}
	}
	if n := w.issuer.questions(); n != 1 {
		t.Errorf("the keys were asked for %d times, want once", n)
	}
	if c, err := w.callers.Identify(t.Context(), "key.with.dots"); err != nil || c.Name != "ci" {
		t.Errorf("a key that looks like a token: %+v, %v", c, err)
	}
}

func TestTokensThatProveNothing(t *testing.T) {
	t.Parallel()
	elliptical, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	es384 := jose.JSONWebKey{Key: elliptical, KeyID: "es384", Algorithm: "ES384", Use: "sig"}
	w := newWorld(t, es384)
	good := sign(t, w.key, jose.RS256, w.claims())
	parts := strings.Split(good, ".")
	public, ok := w.key.Public().Key.(*rsa.PublicKey)
	if !ok {
		t.Fatalf("public key %T", w.key.Public().Key)
	}
	other := rsaKey(t, "first")
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	tokens := map[string]string{
		"wrong audience":            sign(t, w.key, jose.RS256, w.claims("aud", "https://other.example.com")),
		"no audience":               sign(t, w.key, jose.RS256, w.claims("aud", nil)),
		"expired":                   sign(t, w.key, jose.RS256, w.claims("exp", w.now().Add(-time.Second).Unix())),
		"no end":                    sign(t, w.key, jose.RS256, w.claims("exp", nil)),
		"not yet":                   sign(t, w.key, jose.RS256, w.claims("nbf", w.now().Add(time.Hour).Unix())),
		"wrong issuer":              sign(t, w.key, jose.RS256, w.claims("iss", "https://accounts.example.com")),
		"no issuer":                 sign(t, w.key, jose.RS256, w.claims("iss", nil)),
		"email not verified":        sign(t, w.key, jose.RS256, w.claims("email_verified", false)),
		"email not said verified":   sign(t, w.key, jose.RS256, w.claims("email_verified", nil)),
		"nobody's email":            sign(t, w.key, jose.RS256, w.claims("email", "stranger@example.com")),
		"no email":                  sign(t, w.key, jose.RS256, w.claims("email", "", "sub", "")),
		"entry has expired":         sign(t, w.key, jose.RS256, w.claims("email", "past@example.com")),
		"another's key, same id":    sign(t, other, jose.RS256, w.claims()),
		"algorithm of another size": sign(t, w.key, jose.RS512, w.claims()),
		"algorithm of another kind": sign(t, es384, jose.ES384, w.claims()),
		"the public key as secret":  sign(t, jose.JSONWebKey{Key: []byte(public.N.String()), KeyID: "first"}, jose.HS256, w.claims()),
		"no algorithm":              header(`{"alg":"none","kid":"first"}`) + "." + parts[1] + ".",
		"no signature":              parts[0] + "." + parts[1] + ".",
		"other claims":              parts[0] + "." + header(`{"iss":"x"}`) + "." + parts[2],
		"no token":                  "a.b.c",
		"empty parts":               "..",
		"a key in the header":       embedded(t, other, w.claims()),
	}
	for name, token := range tokens {
		if c, err := w.callers.Identify(t.Context(), token); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: %+v, %v, want ErrUnknown", name, c, err)
		} else if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "example.com") {
			t.Errorf("%s: the error repeats the token: %v", name, err)
		}
	}
	if _, err := w.callers.Identify(t.Context(), good); err != nil {
		t.Errorf("the good token: %v", err)
	}
}

// embedded is a token that brings its own key along.
func embedded(t *testing.T, key jose.JSONWebKey, claims map[string]any) string {
	t.Helper()
	return signBy(t, jose.SigningKey{Algorithm: jose.RS256, Key: key.Key.(crypto.Signer)}, &jose.SignerOptions{EmbedJWK: true}, claims)
}

func TestKeysOfTheIssuerChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	identify := func(key jose.JSONWebKey) error {
		_, err := w.callers.Identify(t.Context(), sign(t, key, jose.RS256, w.claims()))
		return err
	}
	if err := identify(w.key); err != nil {
		t.Fatal(err)
	}
	second := rsaKey(t, "second")
	w.issuer.set(func() { w.issuer.keys = append(w.issuer.keys, second) })
	if err := identify(second); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("a new key right after a question: %v, want ErrUnknown", err)
	}
	w.wait(11 * time.Second)
	if err := identify(second); err != nil {
		t.Errorf("a new key: %v", err)
	}
	if n := w.issuer.questions(); n != 2 {
		t.Errorf("asked %d times, want twice", n)
	}
	// Made-up ids are no way to make us ask at any rate.
	stranger := rsaKey(t, "stranger")
	for i := range 50 {
		stranger.KeyID = fmt.Sprint("stranger", i)
		if err := identify(stranger); !errors.Is(err, auth.ErrUnknown) {
			t.Fatalf("stranger %d: %v", i, err)
		}
	}
	if n := w.issuer.questions(); n != 2 {
		t.Errorf("asked %d times after 50 strangers, want twice", n)
	}
	// A key that the issuer took back ends with the answer that it was in.
	w.issuer.set(func() { w.issuer.keys = []jose.JSONWebKey{second} })
	w.wait(time.Hour + time.Second)
	_ = identify(second) // asks; the old key may count until the answer is there
	w.settle(t, 3)
	if err := identify(w.key); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("a key that was taken back: %v, want ErrUnknown", err)
	}
}

// settle waits until the issuer was asked n times and its answer is known.
func (w *world) settle(t *testing.T, n int) {
	t.Helper()
	for w.issuer.questions() < n {
		if t.Context().Err() != nil {
			t.Fatal("the issuer was not asked")
		}
		time.Sleep(time.Millisecond)
	}
	// A token with an unknown key id waits for the answer under way.
	if _, err := w.callers.Identify(t.Context(), sign(t, jose.JSONWebKey{Key: w.key.Key, KeyID: "none"}, jose.RS256, w.claims())); err == nil {
		t.Fatal("an unknown key id was taken")
	}
}

func TestAnIssuerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.set(func() { w.issuer.broken = true })
	token := sign(t, w.key, jose.RS256, w.claims())
	if _, err := w.callers.Identify(t.Context(), token); !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrUnknown) {
		t.Errorf("without keys: %v, want ErrUnavailable", err)
	}
	w.issuer.set(func() { w.issuer.broken = false })
	w.wait(11 * time.Second)
	if _, err := w.callers.Identify(t.Context(), token); err != nil {
		t.Fatalf("once it answers: %v", err)
	}
	w.issuer.set(func() { w.issuer.broken = true })
	w.wait(3 * time.Hour)
	if _, err := w.callers.Identify(t.Context(), sign(t, w.key, jose.RS256, w.claims())); err != nil {
		t.Errorf("with keys of three hours ago: %v", err)
	}
	w.wait(30 * time.Hour)
	if _, err := w.callers.Identify(t.Context(), sign(t, w.key, jose.RS256, w.claims())); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("with keys of more than a day ago: %v, want ErrUnavailable", err)
	}
	// Whoever leaves does not take the answer from the others.
	w.issuer.set(func() { w.issuer.broken = false })
	w.wait(11 * time.Second)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := sign(t, w.key, jose.RS256, w.claims())
	_, _ = w.callers.Identify(gone, fresh) // its outcome is nobody's
	if _, err := w.callers.Identify(t.Context(), fresh); err != nil {
		t.Errorf("after a caller who left: %v", err)
	}
}

func TestWithoutAnAudienceNoTokenCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	callers, err := auth.New(auth.Options{Key: "a key", OIDC: auth.OIDC{KeysURL: w.issuer.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := callers.Identify(t.Context(), sign(t, w.key, jose.RS256, w.claims())); !errors.Is(err, auth.ErrUnknown) || w.issuer.questions() != 0 {
		t.Errorf("%v, and the issuer was asked %d times", err, w.issuer.questions())
	}
}
