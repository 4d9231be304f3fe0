package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Errors of [Callers.Identify].
var (
	// ErrUnknown means that a token belongs to no caller.
	ErrUnknown = errors.New("no caller has this token")
	// ErrUnavailable means that it cannot be told now.
	ErrUnavailable = errors.New("the keys of the issuer cannot be read")
)

// rereadEvery is how often the file is looked at.
const rereadEvery = time.Second

// Options say who there is. Without any nobody is known.
type Options struct {
	// Key is one key that may do everything.
	Key string
	// File is the path of the file of callers.
	File string
	// OIDC lets ID tokens name callers of the file; without an audience they do not.
	OIDC OIDC
	// Logger tells faults of the file. Defaults to none.
	Logger *slog.Logger
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

// Callers knows who may call. It is safe for concurrent use.
type Callers struct {
	key   *rule
	path  string
	oidc  *verifier
	log   *slog.Logger
	clock func() time.Time

	mu    sync.RWMutex
	rules []rule

	reading sync.Mutex // held by who reads the file; guards the rest
	read    time.Time
	content string
	fault   string
}

// New reads the file and returns the callers. The error of a faulty file names the entry and the field.
func New(o Options) (*Callers, error) {
	c := &Callers{path: o.File, log: o.Logger, clock: o.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.clock == nil {
		c.clock = time.Now
	}
	if o.Key != "" {
		d := digestOf(o.Key)
		c.key = &rule{caller: Caller{Name: "api-key", ID: d.id(), Scopes: []Scope{Admin}}, key: d, hasKey: true}
	}
	if o.OIDC.Audience != "" {
		c.oidc = newVerifier(o.OIDC, c.clock)
	}
	if c.path == "" {
		return c, nil
	}
	rules, content, err := readFile(c.path)
	if err != nil {
		return nil, err
	}
	c.rules, c.content, c.read = rules, content, c.clock()
	return c, nil
}

func readFile(path string) ([]rule, string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	rules, err := parse(data)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return rules, string(data), nil
}

// Identify returns the caller that a token belongs to. The error is [ErrUnknown] or wraps it with the reason, or wraps
// [ErrUnavailable].
func (c *Callers) Identify(ctx context.Context, token string) (Caller, error) {
	c.refresh(ctx)
	now := c.clock()
	if token == "" {
		return Caller{}, ErrUnknown
	}
	if r := c.byKey(digestOf(token)); r != nil {
		if !r.live(now) {
			return Caller{}, fmt.Errorf("%w: it has expired", ErrUnknown)
		}
		return r.caller, nil
	}
	if c.oidc == nil || strings.Count(token, ".") != 2 {
		return Caller{}, ErrUnknown
	}
	claims, err := c.oidc.verify(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	if r := c.byClaims(claims); r != nil && r.live(now) {
		return r.caller, nil
	}
	return Caller{}, fmt.Errorf("%w: the file of callers has no such account", ErrUnknown)
}

// byKey compares with every key, each in constant time, so that the time says nothing about which was near.
func (c *Callers) byKey(d digest) *rule {
	c.mu.RLock()
	rules := c.rules
	c.mu.RUnlock()
	var found *rule
	if c.key != nil && subtle.ConstantTimeCompare(c.key.key[:], d[:]) == 1 {
		found = c.key
	}
	for i := range rules {
		if r := &rules[i]; subtle.ConstantTimeCompare(r.key[:], d[:]) == 1 && r.hasKey {
			found = r
		}
	}
	return found
}

func (c *Callers) byClaims(have claims) *rule {
	c.mu.RLock()
	rules := c.rules
	c.mu.RUnlock()
	for i := range rules {
		r := &rules[i]
		switch {
		case r.hasKey:
		case r.subject != "" && r.subject == have.Subject,
			r.email != "" && bool(have.EmailVerified) && r.email == strings.ToLower(have.Email):
			return r
		}
	}
	return nil
}

// refresh reads the file again when the last time is long enough ago. Others do not wait for it: they go on with what is
// known.
func (c *Callers) refresh(ctx context.Context) {
	if c.path == "" || !c.reading.TryLock() {
		return
	}
	defer c.reading.Unlock()
	now := c.clock()
	if now.Sub(c.read) < rereadEvery {
		return
	}
	c.read = now
	rules, content, err := readFile(c.path)
	if err != nil {
		if c.fault != err.Error() {
			c.fault = err.Error()
			c.log.ErrorContext(ctx, "the file of callers has a fault; the callers known last stay", "error", err)
		}
		return
	}
	c.fault = ""
	if content == c.content {
		return
	}
	c.mu.Lock()
	c.rules = rules
	c.mu.Unlock()
	c.content = content
	c.log.InfoContext(ctx, "the file of callers was read again", "callers", len(rules))
}

// Bearer is the token of a request's Authorization field (RFC 6750), empty when it has none of that scheme.
func Bearer(h http.Header) string {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}
