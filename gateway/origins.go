package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// anyOrigin in a list of origins lets every page call.
const anyOrigin = "*"

// What pages of other origins may send and read, and how long browsers may remember that, in seconds.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, Accept, If-Match, If-None-Match, Prefer, Idempotency-Key, Last-Event-ID, Traceparent"
	corsExposed = "ETag, Location, Preference-Applied, Retry-After, RateLimit, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
	corsMaxAge  = "600"
)

// crossOrigin tells a browser whether a page may call and read, and reports whether that was all that was asked. Credentials are
// never allowed: callers send a key, which no page can make a browser send for it. Pages of [AgentOptions.Origins] may call agents, whose
// hosts may ask for headers of their own.
func (g *Gateway) crossOrigin(w http.ResponseWriter, r *http.Request) (done bool) {
	agents := isAgentCall(r) && len(g.Agents.Origins) > 0
	if len(g.Origins) == 0 && !agents {
		return false
	}
	h := w.Header()
	all := slices.Contains(g.Origins, anyOrigin)
	if !all {
		h.Add("Vary", "Origin") // also of answers to others, which caches would give to this page
	}
	origin := r.Header.Get("Origin")
	if may := g.listed(origin) || agents && g.agentOrigin(r); origin == "" || !may {
		return false
	}
	if all {
		origin = anyOrigin
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", corsExposed)
		return false
	}
	allowed := corsHeaders
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" && isAgentCall(r) {
		allowed = asked
	}
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", allowed)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// listed reports whether an origin was let in by name.
func (g *Gateway) listed(origin string) bool {
	return slices.ContainsFunc(g.Origins, func(o string) bool { return o == anyOrigin || strings.EqualFold(o, origin) })
}

// foreign reports whether a page calls that was not let in. The standard check lets reads pass, which would let a page probe with
// them; nobody but our own origin and those that are listed has a reason to read through a browser.
func (g *Gateway) foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && (g.listed(origin) || isAgentCall(r) && g.agentOrigin(r)) {
		return false
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none" || g.protection.Check(r) != nil
}

// checkOrigin refuses what is no origin: a scheme, a host and maybe a port.
func checkOrigin(origin string) bool {
	if origin == anyOrigin {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Scheme+"://"+u.Host == origin
}

// AnyHost reports whether a pattern of [AgentOptions.Origins] keeps nobody out.
func AnyHost(pattern string) bool { return strings.Trim(pattern, "*?:.") == "" }
