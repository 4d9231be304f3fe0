package router

import (
	"net/http"
	"net/http/httputil"
	"path"
	"strconv"
	"strings"
)

// allowed is what crosses to a preview. The rule is VibeSDK's (worker/services/sandbox/request-handler.ts):
// what a page needs to load, and nothing that says who asks.
var allowed = names(
	"Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "Content-Length", "User-Agent", "Range",
	"If-None-Match", "If-Modified-Since", "Cache-Control", "Pragma", "Referer", "Origin",
)

// allowedUpgrade crosses on a WebSocket handshake as well.
var allowedUpgrade = names(
	"Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
)

func names(list ...string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, name := range list {
		set[http.CanonicalHeaderKey(name)] = true
	}
	return set
}

// previewRequest cuts the request down to the allow-list. A page load is told where it came from; a WebSocket is
// not, as in VibeSDK.
func previewRequest(pr *httputil.ProxyRequest, sandboxID, scheme string, websocket bool) {
	h := pr.Out.Header
	for name := range h {
		if !allowed[name] && (!websocket || !allowedUpgrade[name]) {
			delete(h, name)
		}
	}
	pr.Out.Trailer = nil // trailers are headers too
	if websocket {
		return
	}
	h["X-Original-Url"] = []string{scheme + "://" + pr.In.Host + pr.In.URL.RequestURI()}
	h["X-Forwarded-Host"] = []string{pr.In.Host}
	h["X-Forwarded-Proto"] = []string{scheme}
	h["X-Sandbox-Name"] = []string{sandboxID}
}

// appRequest leaves the request as it came, but for the headers in which a client could speak as a proxy.
func appRequest(pr *httputil.ProxyRequest, scheme string) {
	h := pr.Out.Header
	for name := range h {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "X-Real-Ip" || name == "X-Original-Url" || name == identityHeader {
			delete(h, name)
		}
	}
	withoutOwnCookies(h)
	pr.SetXForwarded()
	h.Set("X-Forwarded-Proto", scheme)
}

// identityHeader carries the router's ID token to Cloud Run, which takes it before Authorization and removes it: that one stays the app's.
const identityHeader = "X-Serverless-Authorization"

// isWebSocket reports a WebSocket handshake. Only these may change the protocol of a connection: any other
// upgrade (h2c) would let a client speak to the upstream past every rule here.
func isWebSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.Method == http.MethodGet && r.ContentLength == 0 &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && hasToken(r.Header["Connection"], "upgrade")
}

func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// isEventStream reports server-sent events.
func isEventStream(h http.Header) bool {
	const kind = "text/event-stream"
	t := h.Get("Content-Type")
	return len(t) >= len(kind) && strings.EqualFold(t[:len(kind)], kind)
}

// isControl reports a path under /.sandbox, in any spelling that a server might reduce to it.
func isControl(urlPath string) bool {
	if !strings.Contains(urlPath, ".sandbox") {
		return false
	}
	clean := path.Clean("/" + strings.ReplaceAll(urlPath, `\`, "/"))
	return clean == "/.sandbox" || strings.HasPrefix(clean, "/.sandbox/")
}

// mark adds what VibeSDK's web client reads off an answer: what answered, and leave to read that.
func (rt *Router) mark(h http.Header, kind, origin string) {
	h["X-Preview-Type"] = []string{kind}
	h["Access-Control-Expose-Headers"] = []string{"X-Preview-Type"}
	h["Vary"] = append(h["Vary"], "Origin")
	if origin != "" && rt.originAllowed(origin) {
		h["Access-Control-Allow-Origin"] = []string{origin}
	}
}

func (rt *Router) originAllowed(origin string) bool {
	if rt.origins[origin] {
		return true
	}
	if !rt.devOrigins {
		return false
	}
	port, ok := strings.CutPrefix(origin, "http://localhost")
	if !ok || port == "" {
		return ok
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(port, ":"), 10, 16)
	return port[0] == ':' && err == nil && n > 0
}
