package router

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"vibesdk-gcp/platform/deployment"
)

// Options say what a [Router] serves. PreviewDomain and Lookup are required.
type Options struct {
	// Domain is the parent of app hosts, for example "localhost"; empty serves no apps. It must not lie
	// within PreviewDomain.
	Domain string
	// PreviewDomain is the parent of preview hosts, for example "preview.localhost".
	PreviewDomain string
	// Lookup must return at once when its context has ended, as a [deployment.Table] does: a [Lane] asks in this way for what is remembered.
	Lookup deployment.Lookup
	// Activity hears of traffic to previews. Defaults to nobody.
	Activity Activity
	// Scheme is how browsers reach the router: "http" or "https". Empty means by the connection, which is wrong
	// behind a load balancer that ends TLS.
	Scheme string
	// AllowedOrigins may read the answers across origins, for example "https://build.example.com".
	AllowedOrigins []string
	// DevOrigins allows http://localhost on every port as well.
	DevOrigins bool
	// Endpoints says where services may be: at hosts of its list. A row that says otherwise is not served, whoever wrote it.
	Endpoints deployment.Endpoints
	// Networks are networks that services may be in although they are not the Internet's, as those of private endpoints.
	Networks []netip.Prefix
	// Self is the address that the router itself answers at. No endpoint may lead back to it on this machine.
	Self netip.AddrPort
	// Dispatch reaches apps of target cloudflare. Nil serves none. A client of internal/cfclient is one.
	Dispatch Dispatcher
	// Identity gives the ID tokens that services with an audience are sent. Nil serves none of them.
	Identity Identity
	// OwnerKey is the key of owner tokens, VibeSDK's JWT_SECRET: at least [MinOwnerKey] bytes. Without one private apps are seen by nobody.
	OwnerKey []byte
	// MaxBody bounds a request's body in bytes. Defaults to 100 MiB.
	MaxBody int64
	// MaxPerApp bounds the requests under way for one app or sandbox, WebSockets included. Defaults to 1,000.
	MaxPerApp int
	// HeaderTimeout bounds the wait for an upstream's response headers. Defaults to 5 min: a development server
	// may compile on the first request.
	HeaderTimeout time.Duration
	// Logger defaults to slog.Default. Tokens are never logged.
	Logger *slog.Logger
	// MeterProvider is for the metrics. Defaults to none.
	MeterProvider metric.MeterProvider
	// Now defaults to time.Now, for a [Lane] to one reading of it every 50 ms.
	Now func() time.Time
}

// Dispatcher sends a request to what is at a path of the bridge Worker and returns its answer, also to an upgrade. The target sees
// the request's URL.
type Dispatcher interface {
	Forward(r *http.Request, path string, query url.Values) (*http.Response, error)
}

// Identity gives ID tokens (OpenID Connect) that prove to an audience who the router is. It is called for each request and keeps tokens for as
// long as they last.
type Identity interface {
	Token(ctx context.Context, audience string) (string, error)
}

// Router is an [http.Handler] for all hosts that [Router.Match] accepts. It is safe for concurrent use.
type Router struct {
	domains    domains
	lookup     deployment.Lookup
	activity   Activity
	scheme     string
	origins    map[string]bool
	devOrigins bool
	logger     *slog.Logger
	now        func() time.Time
	coarse     bool // a lane may use its own clock in place of now

	endpoints deployment.Endpoints
	networks  []netip.Prefix
	self      netip.AddrPort
	dispatch  Dispatcher
	identity  Identity
	ownerKey  []byte
	maxBody   int64
	busy      *busy
	metrics   *metrics

	// local connects to this machine and nothing else, services to what is not this machine or another private place.
	local, services *http.Transport
	buffers         *bufferPool

	headerTimeout time.Duration
	silence       *log.Logger
	life          context.Context // ends with Close
	end           context.CancelFunc
}

// New returns a Router, or an error that names the faulty option.
func New(o Options) (*Router, error) {
	d, err := newDomains(o.Domain, o.PreviewDomain)
	if err != nil {
		return nil, err
	}
	if o.Lookup == nil {
		return nil, errors.New("lookup must be set")
	}
	if o.Scheme != "" && o.Scheme != "http" && o.Scheme != "https" {
		return nil, errors.New("scheme must be http, https or empty")
	}
	if n := len(o.OwnerKey); n > 0 && n < MinOwnerKey {
		return nil, fmt.Errorf("owner key must have at least %d bytes", MinOwnerKey)
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 100 << 20
	}
	if o.MaxPerApp <= 0 {
		o.MaxPerApp = 1000
	}
	if o.HeaderTimeout <= 0 {
		o.HeaderTimeout = 5 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	coarse := o.Now == nil
	if coarse {
		o.Now = time.Now
	}
	rt := &Router{
		domains: d, lookup: o.Lookup, activity: o.Activity, scheme: o.Scheme, devOrigins: o.DevOrigins,
		origins: map[string]bool{}, logger: o.Logger, now: o.Now, coarse: coarse,
		endpoints: o.Endpoints, networks: o.Networks, self: o.Self, dispatch: o.Dispatch, identity: o.Identity, ownerKey: o.OwnerKey,
		maxBody: o.MaxBody, busy: &busy{most: int64(o.MaxPerApp)}, buffers: newBufferPool(),
		headerTimeout: o.HeaderTimeout,
		// What ReverseProxy would print lacks the sandbox; the wrappers around it log the same events with it.
		silence: log.New(io.Discard, "", 0),
	}
	if rt.metrics, err = newMetrics(o.MeterProvider); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	rt.local = newTransport(newDialer(rt.localAddress), o.HeaderTimeout)
	rt.services = newTransport(newDialer(rt.serviceAddress), o.HeaderTimeout)
	for _, origin := range o.AllowedOrigins {
		rt.origins[strings.ToLower(strings.TrimSuffix(origin, "/"))] = true
	}
	rt.life, rt.end = context.WithCancel(context.Background())
	return rt, nil
}

// Close ends WebSockets and event streams and closes idle connections. Other requests, also new ones, are
// served on.
func (rt *Router) Close() error {
	rt.end()
	rt.local.CloseIdleConnections()
	rt.services.CloseIdleConnections()
	return nil
}

// Match reports whether a Host header, with or without port and in any letter case, belongs to the router. The two
// domains' own names: the preview domain does, the app domain does not.
func (rt *Router) Match(host string) bool {
	kind, _ := rt.domains.match(host)
	return kind != elsewhere
}

// ServeHTTP routes a request by its host.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, label := rt.domains.match(r.Host)
	switch {
	case kind == elsewhere && isIPv4(r.Host):
		reply(w, http.StatusForbidden, addressText)
	case kind == elsewhere:
		reply(w, http.StatusNotFound, elsewhereText)
	case isControl(r.URL.Path):
		reply(w, http.StatusNotFound, notFoundText)
	case r.Method == http.MethodConnect:
		reply(w, http.StatusMethodNotAllowed, "Method not allowed")
	case r.URL.Opaque != "" || r.URL.Path != "" && r.URL.Path[0] != '/':
		reply(w, http.StatusBadRequest, "Bad request") // a target that is no path could mean another thing upstream
	case kind == previewSite:
		rt.servePreview(w, r, label)
	default:
		rt.serveApp(w, r, label)
	}
}

// noToken stands in for the token of a preview that is not there: comparing takes as long, and never succeeds.
const noToken = "----------------"

func (rt *Router) servePreview(w http.ResponseWriter, r *http.Request, label string) {
	begun := time.Now()
	id, token, ok := parsePreviewLabel(label)
	if !ok {
		rt.refuse(w, previewSite, begun, http.StatusNotFound, notFoundText)
		return
	}
	p, err := rt.lookup.Preview(r.Context(), id)
	if errors.Is(err, deployment.ErrNotFound) {
		p.Token, err = noToken, nil
	}
	if err != nil {
		rt.failed(r, "look up", previewSite, id, err)
		rt.refuse(w, previewSite, begun, http.StatusInternalServerError, routingErrorText)
		return
	}
	if subtle.ConstantTimeCompare([]byte(p.Token), []byte(token)) != 1 {
		rt.refuse(w, previewSite, begun, http.StatusNotFound, notFoundText)
		return
	}
	x := &exchange{router: rt, begun: begun, kind: previewSite, name: id, place: deployment.Place{Target: deployment.TargetOf(p.Endpoint), Endpoint: p.Endpoint}}
	if rt.activity != nil {
		x.pulse = newPulse(rt, id)
	}
	x.serve(w, r)
}

func (rt *Router) serveApp(w http.ResponseWriter, r *http.Request, name string) {
	begun := time.Now()
	a, err := rt.lookup.App(r.Context(), name)
	if err != nil && !errors.Is(err, deployment.ErrNotFound) {
		rt.failed(r, "look up", appSite, name, err)
		rt.refuse(w, appSite, begun, http.StatusInternalServerError, appErrorText)
		return
	}
	x := &exchange{router: rt, begun: begun, kind: appSite, name: name, gated: a.Gated()}
	admitted := false
	if err == nil {
		admitted, x.ownerToken = rt.admits(a, r)
	}
	if !admitted { // a private app is not told from one that is not there
		rt.refuse(w, appSite, begun, http.StatusNotFound, appUnavailableText)
		return
	}
	x.place, x.visitor = placeFor(a, r)
	x.split = a.Rollout != nil
	x.serve(w, r)
}

// refuse answers a request for a preview or an app without asking it.
func (rt *Router) refuse(w http.ResponseWriter, kind site, begun time.Time, status int, text string) {
	rt.metrics.answered(kind, status, begun)
	reply(w, status, text)
}

// failed logs, unless the client has left, which fails everything done for it.
func (rt *Router) failed(r *http.Request, step string, kind site, name string, err error) {
	if r.Context().Err() == nil {
		rt.logger.WarnContext(r.Context(), "request not served", "step", step, kind.String(), name, "error", err)
	}
}
