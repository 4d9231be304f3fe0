package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/platform/ratelimit"
)

// tokenCookies are the cookies that may hold a token, the first that is set counts.
var tokenCookies = []string{"accessToken", "auth_token", "jwt"}

const (
	// maxToken bounds a token, in bytes: more than servers take in a header line.
	maxToken = 8 << 10
	// tokenSkew is how far in the future a token may say that it was made, for clocks that differ.
	tokenSkew = 5 * time.Minute
)

// tokenOf finds the token of a call: a bearer token, else a cookie, else, where query is set, ?token= and ?access_token=. The first
// place that has one counts, whether it is good or not.
func tokenOf(r *http.Request, query bool) string {
	if token := auth.Bearer(r.Header); token != "" {
		return token
	}
	for _, name := range tokenCookies {
		if same := r.CookiesNamed(name); len(same) > 0 && same[len(same)-1].Value != "" {
			return same[len(same)-1].Value // the last one counts, as VibeSDK reads them
		}
	}
	if query {
		for _, name := range []string{"token", "access_token"} {
			if token := r.URL.Query().Get(name); token != "" {
				return token
			}
		}
	}
	return ""
}

// tokenUser is the user whose token a call has. A call without a good one is charged to its address, another to its user.
func (g *Gateway) tokenUser(w http.ResponseWriter, r *http.Request, query bool) (string, error) {
	user, err := readToken(tokenOf(r, query), []byte(g.VibeSDK.JWTSecret), g.VibeSDK.Now())
	if err != nil {
		if limited := g.limitStrangers(w, r); limited != nil {
			return "", limited
		}
		return "", errNoUser
	}
	return user, g.limitCaller(w, r, ratelimit.AuthRateLimit, "user:"+user)
}

var errToken = errors.New("not a valid token")

// readToken verifies a token as VibeSDK makes them for a user's session, and returns the user's id: HS256 and nothing else, with sub,
// email, sessionId, iat, exp, and type access. Whether the session was ended before its time only VibeSDK's database knows. The error
// has no part of the token.
func readToken(token string, secret []byte, now time.Time) (user string, err error) {
	if len(token) > maxToken {
		return "", errToken
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return "", errToken
	}
	var c struct {
		jwt.Claims

		Email     string `json:"email"`
		SessionID string `json:"sessionId"`
		Type      string `json:"type"`
	}
	if parsed.Claims(secret, &c) != nil { // here the signature is checked
		return "", errToken
	}
	switch {
	case c.Expiry == nil || !now.Before(c.Expiry.Time()), c.NotBefore != nil && now.Before(c.NotBefore.Time()):
		return "", errToken
	case c.IssuedAt == nil || c.IssuedAt.Time().After(now.Add(tokenSkew)):
		return "", errToken
	case c.Type != "access" || c.Email == "" || c.SessionID == "" || c.Subject == "" || len(c.Subject) > maxUser:
		return "", errToken
	}
	return c.Subject, nil
}
