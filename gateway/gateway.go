package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"gocloud.dev/blob"
	"golang.org/x/sync/singleflight"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/session"
)

// Records is what the gateway reads of sandboxes: it cannot write.
type Records interface {
	Load(ctx context.Context, id string) (sandbox.Record, error)
	List(ctx context.Context, q sandbox.Query) ([]sandbox.Record, error)
}

// Runtime is what the gateway reads of running sandboxes.
type Runtime interface {
	Inspect(ctx context.Context, ref sandbox.Ref) (sandbox.Status, error)
	Logs(ctx context.Context, ref sandbox.Ref, phase sandbox.Phase, offset int64) (io.ReadCloser, error)
}

// Options say what a gateway works with. Fields without a default are required.
type Options struct {
	Publisher events.Publisher
	// Topics may be published to over HTTP. Defaults to [events.Topics].
	Topics  []events.Topic
	Records Records
	Runtime Runtime
	// Sessions reads sessions: a gateway cannot write them.
	Sessions *session.Reader
	// Limits decides what callers may use. Nil means that there are no limits to ask.
	Limits *ratelimit.Limiter
	// Letters is the dead letters. Nil means that there are none to ask for.
	Letters *events.LetterBox
	// LimitCalls charges each call to this API to the limit apiRateLimit of its caller, health checks excepted, and each call with
	// a wrong key to authRateLimit of its address. Limits must have both.
	LimitCalls bool
	// Sources is where uploaded archives and large payloads go, and SourcesURL the address that workers know it by, without a slash at
	// the end: file:///… or gs://bucket.
	Sources    *blob.Bucket
	SourcesURL string
	// PreviewURL gives the address of a preview.
	PreviewURL func(sandboxID, token string) string
	// Runner is about the routes that VibeSDK's remote sandbox service has.
	Runner RunnerOptions
	// Deployments are the routes of apps. Nil means that there are none.
	Deployments Deployments
	// Callers are who may call. Nil means whoever is on this machine.
	Callers *auth.Callers
	// APIKey, when not empty, is the one key that may do everything, in place of Callers.
	APIKey string
	// Origins are those of other pages that may call from a browser, like https://app.example.com, or "*" for all. Without Callers
	// there is no "*": every page could then use this machine's server.
	Origins []string
	// Ready reports whether the parts behind the gateway answer; nil means they always do.
	Ready func(ctx context.Context) error
	// Metrics answers /metrics; nil means there are none.
	Metrics http.Handler
	// Client talks to the running apps. Defaults to one without a timeout: the caller's context bounds a call.
	Client *http.Client
	// PollEvery is how often a record that is followed is looked at. Defaults to 50 ms.
	PollEvery time.Duration
	// LogEvery is how often a log that is followed is looked at: each time the Runtime is asked how the sandbox stands and what it has
	// printed. Defaults to PollEvery.
	LogEvery time.Duration
	// WaitFor is how long a write waits for its outcome when the caller does not say. Defaults to 10 s.
	WaitFor time.Duration
	// WriteTimeout is how long a reader of a session's events may take for one of them before it is dropped. Defaults
	// to 10 s.
	WriteTimeout time.Duration
	// AnswerTimeout is how long a client may take for each 64 KiB of an answer. Defaults to 30 s.
	AnswerTimeout time.Duration
	// BodyPace is how fast bodies must arrive.
	BodyPace Pace
	// Agents is about the clients of agents.
	Agents AgentOptions
	// VibeSDK is about the routes that VibeSDK's own clients connect by. They need Limits.
	VibeSDK VibeSDKOptions
	// Console is about the operator's pages.
	Console ConsoleOptions
	// Logger, MeterProvider and TracerProvider default to none.
	Logger         *slog.Logger
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
}

// Gateway is the front door. It is an http.Handler, safe for concurrent use.
type Gateway struct {
	Options

	log        *slog.Logger
	topics     map[string]events.Topic
	table      *table
	document   func() (document, error)
	protection *http.CrossOriginProtection
	handler    http.Handler
	draining   chan struct{}
	drain      func()
	consumed   consumed
	hub        *agentHub
	tickets    *tickets
	host       *agentHost // nil: there is none
	deploys    singleflight.Group
}

// New returns a gateway.
func New(o Options) (*Gateway, error) {
	if o.Publisher == nil || o.Records == nil || o.Runtime == nil || o.Sessions == nil || o.Sources == nil || o.SourcesURL == "" || o.PreviewURL == nil {
		return nil, errors.New("gateway: Publisher, Records, Runtime, Sessions, Sources, SourcesURL and PreviewURL are required")
	}
	for _, name := range []string{ratelimit.APIRateLimit, ratelimit.AuthRateLimit} {
		if o.LimitCalls && (o.Limits == nil || o.Limits.Limits()[name].Period == 0) {
			return nil, errors.New("gateway: LimitCalls needs a limit " + name)
		}
	}
	if o.Topics == nil {
		o.Topics = events.Topics()
	}
	if o.Client == nil {
		o.Client = &http.Client{}
	}
	if o.PollEvery == 0 {
		o.PollEvery = 50 * time.Millisecond
	}
	setDefault(&o.LogEvery, o.PollEvery)
	if o.WaitFor == 0 {
		o.WaitFor = 10 * time.Second
	}
	if o.Runner.Wait == 0 {
		o.Runner.Wait = 55 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 10 * time.Second
	}
	setDefault(&o.AnswerTimeout, 30*time.Second)
	o.BodyPace = o.BodyPace.withDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MeterProvider == nil {
		o.MeterProvider = noop.NewMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = nooptrace.NewTracerProvider()
	}
	o.Agents = o.Agents.withDefaults()
	if err := o.prepareVibeSDK(); err != nil {
		return nil, err
	}
	if o.Callers == nil && o.APIKey != "" {
		var err error
		if o.Callers, err = auth.New(auth.Options{Key: o.APIKey}); err != nil {
			return nil, err
		}
	}
	for _, origin := range o.Origins {
		if !checkOrigin(origin) || origin == anyOrigin && o.Callers == nil {
			return nil, fmt.Errorf("gateway: Origins: %q is not an origin that may call", origin)
		}
	}
	g := &Gateway{
		Options: o, log: o.Logger, protection: http.NewCrossOriginProtection(),
		topics: map[string]events.Topic{}, draining: make(chan struct{}),
	}
	host, err := newAgentHost(o.Agents.Host)
	if err != nil {
		return nil, err
	}
	g.host = host
	g.hub = &agentHub{g: g, sessions: map[string]*agentSession{}}
	g.drain = sync.OnceFunc(func() {
		close(g.draining)
		g.hub.close(drainAgents)
	})
	for _, topic := range o.Topics {
		g.topics[topic.Name] = topic
	}
	if g.tickets, err = newTickets(o.VibeSDK.JWTSecret, o.Limits); err != nil {
		return nil, err
	}
	g.table = newTable(g.routes())
	g.document = sync.OnceValues(func() (document, error) { return describe(g.table.rows) })
	observed, err := g.observe(http.HandlerFunc(g.serve))
	if err != nil {
		return nil, err
	}
	if g.handler, err = g.withConsole(observed); err != nil {
		return nil, err
	}
	return g, nil
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// drainAgents is how long the clients of agents have to say goodbye when the server stops.
const drainAgents = time.Second

// Drain ends answers that would go on for ever, log and event streams, so that a server can stop. Callers come
// back and go on where they were. New streams end at once. It waits for the connections of agents' clients, for about a second
// at most.
func (g *Gateway) Drain() { g.drain() }
