package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"gocloud.dev/blob"

	"vibesdk-gcp/events"
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
	// APIKey, when not empty, must come with each call. Without one only this machine may call.
	APIKey string
	// Ready reports whether the parts behind the gateway answer; nil means they always do.
	Ready func(ctx context.Context) error
	// Metrics answers /metrics; nil means there are none.
	Metrics http.Handler
	// Client talks to the running apps. Defaults to one without a timeout: the caller's context bounds a call.
	Client *http.Client
	// PollEvery is how often a log or a record that is followed is looked at. Defaults to 50 ms.
	PollEvery time.Duration
	// WaitFor is how long a write waits for its outcome when the caller does not say. Defaults to 10 s.
	WaitFor time.Duration
	// WriteTimeout is how long a reader of a session's events may take for one of them before it is dropped. Defaults
	// to 10 s.
	WriteTimeout time.Duration
	// Agents is about the clients of agents.
	Agents AgentOptions
	// Logger and MeterProvider default to none.
	Logger        *slog.Logger
	MeterProvider metric.MeterProvider
}

// Gateway is the front door. It is an http.Handler, safe for concurrent use.
type Gateway struct {
	Options

	log      *slog.Logger
	apiKey   string
	topics   map[string]events.Topic
	handler  http.Handler
	draining chan struct{}
	drain    func()
	consumed consumed
	hub      *agentHub
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
	if o.WaitFor == 0 {
		o.WaitFor = 10 * time.Second
	}
	if o.Runner.Wait == 0 {
		o.Runner.Wait = 55 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MeterProvider == nil {
		o.MeterProvider = noop.NewMeterProvider()
	}
	o.Agents = o.Agents.withDefaults()
	g := &Gateway{
		Options: o, log: o.Logger, apiKey: o.APIKey,
		topics: map[string]events.Topic{}, draining: make(chan struct{}),
	}
	g.hub = &agentHub{g: g, sessions: map[string]*agentSession{}}
	g.drain = sync.OnceFunc(func() {
		close(g.draining)
		g.hub.close(drainAgents)
	})
	for _, topic := range o.Topics {
		g.topics[topic.Name] = topic
	}
	measured, err := measure(o.MeterProvider, g.guard(g.routes()))
	if err != nil {
		return nil, err
	}
	g.handler = measured
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
