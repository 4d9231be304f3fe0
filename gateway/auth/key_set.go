package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// keysFresh is how long keys are used without asking again when the issuer says nothing; it may say up to a day.
	keysFresh    = time.Hour
	keysMaxFresh = 24 * time.Hour
	// keysStale is how long they are used after that when the issuer does not answer.
	keysStale = 24 * time.Hour
	// keysPause is the least time between two questions: tokens with made-up key ids must not become requests.
	keysPause = 10 * time.Second
	// keysTimeout bounds one question.
	keysTimeout = 5 * time.Second
	// maxKeySet bounds what is read, in bytes.
	maxKeySet = 1 << 20
)

// outageKey is where [keySet.VerifySignature] leaves the error of an issuer that does not answer: the library that calls it
// keeps only its text.
type outageKey struct{}

// keySet is an issuer's public keys, which change now and then. It implements oidc.KeySet.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fresh   time.Time // until then they are not asked for again
	usable  time.Time // until then they count when they cannot be asked for
	asked   time.Time
	pending chan struct{} // closed when the question under way has its answer
	fault   error         // of the last question
}

// VerifySignature returns the payload of a token that one of the keys signed.
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil || len(jws.Signatures) != 1 {
		return nil, errors.New("the token is malformed")
	}
	id := jws.Signatures[0].Header.KeyID
	keys, err := s.find(ctx, id)
	if err != nil {
		if outage, ok := ctx.Value(outageKey{}).(*error); ok {
			*outage = err
		}
		return nil, err
	}
	for _, key := range keys {
		if payload, err := jws.Verify(&key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key of the issuer signed the token")
}

// find returns the keys of an id, all when the token names none. It asks for them when they are old or the id is new, and waits
// for the answer only when there is none to go by. The error means that there is nothing to go by.
func (s *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	now := s.now()
	s.mu.Lock()
	found, wait := s.named(id, now), s.pending
	if wait == nil && (now.After(s.fresh) || len(found) == 0) && (s.asked.IsZero() || now.Sub(s.asked) >= keysPause) {
		wait = make(chan struct{})
		s.asked, s.pending = now, wait
		go s.ask(now, wait) //nolint:gosec // it is for all who wait, not for this caller alone
	}
	s.mu.Unlock()
	if len(found) == 0 && wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.After(s.usable) {
		return nil, cmp.Or(s.fault, errors.New("the keys are too old"))
	}
	return s.named(id, now), nil
}

// ask reads the keys for all who wait.
func (s *keySet) ask(now time.Time, done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
	defer cancel()
	keys, fresh, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault = err; err == nil {
		s.keys, s.fresh = keys, now.Add(fresh)
		s.usable = s.fresh.Add(keysStale)
	}
	s.pending = nil
	close(done)
}

func (s *keySet) named(id string, now time.Time) []jose.JSONWebKey {
	switch {
	case now.After(s.usable):
		return nil
	case id == "":
		return s.keys
	}
	return (&jose.JSONWebKeySet{Keys: s.keys}).Key(id)
}

func (s *keySet) fetch(ctx context.Context) (keys []jose.JSONWebKey, fresh time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("%s answered %s", s.url, resp.Status)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, 0, fmt.Errorf("%s has no key set: %w", s.url, err)
	}
	return set.Keys, freshFor(resp.Header.Get("Cache-Control")), nil
}

// freshFor reads max-age of a Cache-Control header.
func freshFor(control string) time.Duration {
	for directive := range strings.SplitSeq(control, ",") {
		if age, ok := strings.CutPrefix(strings.TrimSpace(strings.ToLower(directive)), "max-age="); ok {
			if seconds, err := strconv.ParseUint(age, 10, 31); err == nil {
				return min(time.Duration(seconds)*time.Second, keysMaxFresh)
			}
		}
	}
	return keysFresh
}
