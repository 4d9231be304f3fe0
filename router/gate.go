package router

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"vibesdk-gcp/platform/deployment"
)

// An owner token opens a private app for its owner: VibeSDK's web client puts one into the query of the first request, and the answer
// makes it a cookie of the app's host for those that follow. It is a JWT with the claims of VibeSDK (worker/utils/ownerPreviewToken.ts).
const (
	ownerToken        = ownPrefix + "owner"
	ownerPurpose      = "owner_preview"
	ownerTokenSeconds = 3600
	// MinOwnerKey is the least length of the key in bytes, as RFC 7518 demands it for HS256.
	MinOwnerKey = 32
)

// admits reports whether a request may see an app, and returns the token of its query if that is what admitted it.
func (rt *Router) admits(a deployment.App, r *http.Request) (admitted bool, token string) {
	if !a.Gated() {
		return true, ""
	}
	query := ""
	if strings.Contains(r.URL.RawQuery, ownPrefix) {
		query = r.URL.Query().Get(ownerToken)
	}
	// A token of the query that is good for the host but not the owner's decides; only one that is no good leaves it to the cookie.
	if user := rt.tokenUser(query, a.Name); user != "" {
		return user == a.Owner, query
	}
	cookie, err := r.Cookie(ownerToken)
	return err == nil && rt.tokenUser(cookie.Value, a.Name) == a.Owner, ""
}

// tokenUser is the user whom a token names, and empty for one that is not valid for the app now.
func (rt *Router) tokenUser(token, app string) string {
	if token == "" || len(rt.ownerKey) == 0 {
		return ""
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return ""
	}
	var std jwt.Claims
	var own struct {
		UserID       string `json:"userId"`
		DeploymentID string `json:"deploymentId"`
		Purpose      string `json:"purpose"`
	}
	if parsed.Claims(rt.ownerKey, &std, &own) != nil || std.Expiry == nil || std.ValidateWithLeeway(jwt.Expected{Time: rt.now()}, 0) != nil {
		return ""
	}
	if own.Purpose != ownerPurpose || own.DeploymentID != app || strings.TrimSpace(own.UserID) == "" {
		return ""
	}
	return own.UserID
}

// ownerCookie makes the token of a query a cookie of the app's host.
func ownerCookie(token string, secure bool) string {
	return (&http.Cookie{ //nolint:gosec // G124: Secure as the scheme is
		Name: ownerToken, Value: token, Path: "/", MaxAge: ownerTokenSeconds, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure,
	}).String()
}

// withoutOwnerToken is a query without owner tokens. What it does not remove it leaves as it is spelled.
func withoutOwnerToken(query string) string {
	if !strings.Contains(query, ownPrefix) && !strings.Contains(query, "%") {
		return query
	}
	pairs := strings.Split(query, "&")
	kept := slices.DeleteFunc(pairs, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		return err == nil && name == ownerToken
	})
	return strings.Join(kept, "&")
}

// keepPrivate keeps what only the owner may see out of caches that others read, too.
func keepPrivate(h http.Header) {
	h["Vary"] = append(h["Vary"], "Cookie")
	var kept []string
	for _, line := range h["Cache-Control"] {
		for d := range strings.SplitSeq(line, ",") {
			d = strings.TrimSpace(d)
			name, _, _ := strings.Cut(strings.ToLower(d), "=")
			if d != "" && name != "public" && name != "s-maxage" && name != "private" {
				kept = append(kept, d)
			}
		}
	}
	h["Cache-Control"] = []string{strings.Join(append([]string{"private"}, kept...), ", ")}
}
