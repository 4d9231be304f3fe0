package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Google's issuer and where its public keys are.
const (
	GoogleIssuer = "https://accounts.google.com"
	GoogleKeys   = "https://www.googleapis.com/oauth2/v3/certs"
)

// OIDC says whose ID tokens are taken.
type OIDC struct {
	// Audience must be in the token. Empty means that no token is taken.
	Audience string
	// Issuer made the token. Defaults to [GoogleIssuer].
	Issuer string
	// KeysURL has the issuer's public keys, as a JSON Web Key Set. Defaults to [GoogleKeys].
	KeysURL string
	// Client reads them. Defaults to [http.DefaultClient].
	Client *http.Client
}

// algorithms are those of public keys. With none or a shared secret a token would prove nothing.
var algorithms = []string{oidc.RS256, oidc.ES256}

// verifier tells what a token claims, once it is proved.
type verifier struct {
	tokens *oidc.IDTokenVerifier
}

func newVerifier(o OIDC, now func() time.Time) *verifier {
	if o.Issuer == "" {
		o.Issuer = GoogleIssuer
	}
	if o.KeysURL == "" {
		o.KeysURL = GoogleKeys
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	keys := &keySet{url: o.KeysURL, client: o.Client, now: now}
	return &verifier{oidc.NewVerifier(o.Issuer, keys, &oidc.Config{ClientID: o.Audience, SupportedSigningAlgs: algorithms, Now: now})}
}

// claims are what a token says of its owner.
type claims struct {
	Subject       string   `json:"sub"`
	Email         string   `json:"email"`
	EmailVerified verified `json:"email_verified"`
}

// verified is a boolean that some issuers write as text.
type verified bool

// UnmarshalJSON implements json.Unmarshaler.
func (v *verified) UnmarshalJSON(data []byte) error {
	if text, err := strconv.Unquote(string(data)); err == nil {
		data = []byte(text)
	}
	return json.Unmarshal(data, (*bool)(v))
}

// verify checks signature, algorithm, issuer, audience and times.
func (v *verifier) verify(ctx context.Context, token string) (claims, error) {
	var outage error
	proved, err := v.tokens.Verify(context.WithValue(ctx, outageKey{}, &outage), token)
	if outage != nil {
		return claims{}, fmt.Errorf("%w: %w", ErrUnavailable, outage)
	}
	if err != nil {
		return claims{}, fmt.Errorf("%w: %s", ErrUnknown, reason(err))
	}
	var have claims
	if err := proved.Claims(&have); err != nil {
		return claims{}, fmt.Errorf("%w: its claims are not understood", ErrUnknown)
	}
	return have, nil
}

// reason says why a token is refused. Only that it has expired is for its owner to know; the rest would help who forges one.
func reason(err error) string {
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return "the token has expired"
	}
	return "the token is not valid here"
}
