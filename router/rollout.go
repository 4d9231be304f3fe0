package router

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/http"
	"strings"

	"vibesdk-gcp/platform/deployment"
)

// visitorCookie names a visitor while an app has two places, so that one visitor never gets the pages of one version and the
// scripts of the other.
const (
	visitorCookie  = ownPrefix + "visitor"
	visitorSeconds = 24 * 3600
)

// placeFor is the place of an app that a request goes to. visitor, when not empty, is to become a cookie with the answer.
func placeFor(a deployment.App, r *http.Request) (place deployment.Place, visitor string) {
	if a.Rollout == nil {
		return a.Place, ""
	}
	var id string
	if cookie, err := r.Cookie(visitorCookie); err == nil && validVisitor(cookie.Value) {
		id = cookie.Value
	} else {
		id = visitorOf(a.Name, r)
		if isNavigation(r) {
			visitor = id
		}
	}
	if share(id, a.Rollout.Endpoint) < a.Rollout.Weight {
		return a.Rollout.Place, visitor
	}
	return a.Place, visitor
}

// share is a number from 0 to 99 that is the visitor's own for one rollout: as the weight grows past it they move, once. Another rollout
// begins with other visitors.
func share(visitor, endpoint string) int {
	sum := sha256.Sum256([]byte(visitor + "\n" + endpoint))
	return int(binary.BigEndian.Uint64(sum[:8]) % 100)
}

// visitorOf tells visitors without a cookie apart by what stays the same from request to request. Behind a load balancer
// all come from one address, and X-Forwarded-For differs; who forges it only chooses their own version.
func visitorOf(app string, r *http.Request) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{
		app, address, strings.Join(r.Header["X-Forwarded-For"], ","), r.Header.Get("User-Agent"), r.Header.Get("Accept-Language"),
	}, "\n")))
	return hex.EncodeToString(sum[:8])
}

func validVisitor(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == 8
}

// isNavigation reports the load of a page: its answer names the visitor before the page asks for anything else.
func isNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
}

func newVisitorCookie(id string, secure bool) string {
	return (&http.Cookie{ //nolint:gosec // G124: Secure as the scheme is
		Name: visitorCookie, Value: id, Path: "/", MaxAge: visitorSeconds, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure,
	}).String()
}
