package gateway

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"vibesdk-gcp/internal/hostclient"
)

// has reports whether a request is the host's as it is: all but the WebSockets of agents whose protocol is spoken here.
func (h *agentHost) has(r *http.Request, agent string) bool {
	return !isUpgrade(r) || h.proxies(agent)
}

// proxies reports whether the host speaks the protocol with the clients of an agent.
func (h *agentHost) proxies(agent string) bool { return slices.Contains(h.o.Proxy, agent) }

// serve passes a request to the host: its path and query below the host's address, its body and the answer as streams.
func (h *agentHost) serve(g *Gateway, w http.ResponseWriter, r *http.Request, at agentAddress) {
	if isUpgrade(r) {
		h.proxySocket(g, w, r, at)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	late := time.AfterFunc(h.o.Timeout, func() { cancel(errHostSlow) })
	defer late.Stop()
	go func() { // an answer that goes on ends with the server
		select {
		case <-g.draining:
			cancel(errDraining)
		case <-ctx.Done():
		}
	}()
	address, err := h.Address(r.URL.EscapedPath(), r.URL.RawQuery)
	if err != nil {
		plain(w, http.StatusBadRequest, "Invalid request")
		return
	}
	// A body may still be on its way when the answer begins.
	_ = http.NewResponseController(w).EnableFullDuplex() // writers that cannot do it need it not
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			address.ForceQuery = p.In.URL.ForceQuery
			p.Out.URL, p.Out.Host = address, ""
			h.filter(p.Out.Header)
			h.Sign(ctx, p.Out.Header)
			if agent := p.In.Header.Get("User-Agent"); agent != "" {
				p.Out.Header.Set("User-Agent", agent)
			}
			p.SetXForwarded()
			p.Out.Header.Set(agentSessionHeader, hostclient.Segment(at.sessionID(g.Agents.Main)))
			hostclient.SetTimeout(p.Out.Header, h.o.Timeout)
		},
		ModifyResponse: func(resp *http.Response) error {
			late.Stop()
			if !h.passes("Cookie") {
				resp.Header.Del("Set-Cookie") // a cookie of the host's would be one of the platform's
			}
			resp.Header.Del("Strict-Transport-Security")
			if w.Header().Get("Access-Control-Allow-Origin") != "" { // who may read is said once, or browsers take it for no
				maps.DeleteFunc(resp.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Access-Control-") })
			}
			return nil
		},
		Transport: h.Transport(), FlushInterval: -1, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { h.failed(ctx, g, w, r, err) },
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

var errDraining = errors.New("the server is stopping")

// failed answers a request that the host did not.
func (h *agentHost) failed(ctx context.Context, g *Gateway, w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && context.Cause(ctx) == context.Canceled { //nolint:errorlint // the cause as it was set
		return // nobody is listening
	}
	g.log.WarnContext(r.Context(), "agent host failed a request", "route", r.Pattern, "error", hostclient.Cause(err))
	switch {
	case errors.Is(context.Cause(ctx), errHostSlow):
		plain(w, http.StatusGatewayTimeout, errHostSlow.text)
	case errors.Is(context.Cause(ctx), errDraining):
		plain(w, http.StatusServiceUnavailable, "The server is stopping")
	default:
		plain(w, http.StatusBadGateway, errHostAway.text)
	}
}

// told are the headers of a request as the host is told them in a call: those of the client, without what is between two servers.
func (h *agentHost) told(headers http.Header) map[string]string {
	kept := headers.Clone()
	h.filter(kept)
	told := map[string]string{}
	for name, values := range kept {
		switch name = textproto.CanonicalMIMEHeaderKey(name); {
		case name == "Connection", name == "Upgrade", strings.HasPrefix(name, "Sec-Websocket-"):
		default:
			told[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return told
}
