package app

import (
	"net"
	"net/http"
	"slices"
	"time"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/router"
)

// doors are the HTTP handlers of one listener: requests for hosts of the router go there, all others to the gateway.
type doors struct {
	gateway *gateway.Gateway // nil without that role
	second  *gateway.Gateway // nil without a second provider
	calls   http.Handler     // the gateways, and the choice of one
	router  *router.Router   // as above
	pushes  *pushes          // nil without a pushed role
}

func openDoors(c Config, p *provider, roles []Role, addr net.Addr) (d *doors, err error) {
	d = &doors{}
	if d.pushes, err = openPushes(c, p, roles); err != nil {
		return nil, err
	}
	if slices.Contains(roles, RoleRouter) {
		if d.router, err = openRouter(c, p, addr); err != nil {
			return nil, err
		}
	}
	if slices.Contains(roles, RoleGateway) {
		callers, err := c.Auth.callers(p.log)
		if err != nil {
			return nil, err
		}
		o := gateway.Options{
			Publisher: p.bus, Records: p.records, Runtime: p.runtime, Sessions: p.sessions.Reader,
			Letters: p.letters,
			Limits:  p.limits, LimitCalls: c.Limit.API,
			Sources: p.sources, SourcesURL: p.sourcesURL,
			PreviewURL: previewURL(c.PreviewDomain, addr),
			Runner: gateway.RunnerOptions{
				TemplatesURL: c.Runner.TemplatesURL, Wait: c.Runner.Wait, Apps: p.routes, AppURL: appURL(c.AppDomain, addr),
			},
			Callers: callers, Origins: c.Auth.Origins,
			Deployments: p.routes,
			Agents: gateway.AgentOptions{
				Classes: c.Agent.Classes, Main: c.Agent.Main, Origins: c.Agent.Origins,
				MaxSockets: c.Agent.MaxSockets, MaxSessionSockets: c.Agent.MaxSessionSockets,
				Host: agentHost(c),
			},
			VibeSDK:  gateway.VibeSDKOptions{JWTSecret: c.VibeSDK.JWTSecret},
			Ready:    p.db.R.PingContext,
			LogEvery: c.logEvery(), Metrics: p.telemetry.Metrics,
			Logger: p.log, MeterProvider: p.telemetry.Meter, TracerProvider: p.telemetry.Tracer,
		}
		if o.Console, err = openConsole(c, p, roles); err != nil {
			return nil, err
		}
		if err := d.openGateways(c, p, o); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// logEvery is how often a log that is followed is looked at; 0 is the gateway's own pace. On this machine a look is a stat; on Cloud Run it is several
// calls, which are counted and paid, and a build's log is there every second or so.
func (c Config) logEvery() time.Duration {
	if c.SandboxBackend == "cloudrun" && !c.CloudRun.Fake {
		return time.Second
	}
	return 0
}

// agentHost is what the gateway leaves to the agent host.
func agentHost(c Config) gateway.AgentHostOptions {
	a := c.Agent
	return gateway.AgentHostOptions{
		URL: c.Session.AgentHostURL, Key: c.Session.AgentHostKey, Timeout: a.HostTimeout, StreamTimeout: a.HostStreamTimeout,
		Connect: a.HostConnect, State: a.HostState, Methods: a.HostMethods, Headers: a.HostHeaders, Proxy: a.Proxy, MaxCalls: a.HostCalls,
	}
}

// ServeHTTP implements http.Handler.
func (d *doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case d.router != nil && d.router.Match(r.Host):
		d.router.ServeHTTP(w, r)
	case d.pushes != nil && d.pushes.match(r):
		d.pushes.ServeHTTP(w, r)
	case d.gateway != nil:
		d.calls.ServeHTTP(w, r)
	case d.router == nil:
		d.pushes.health(w, r)
	default: // it says what a host that is nobody's gets
		d.router.ServeHTTP(w, r)
	}
}

// drain ends answers without an end, so that the server can stop.
func (d *doors) drain() {
	if d.pushes != nil {
		d.pushes.end()
	}
	if d.gateway != nil {
		d.gateway.Drain()
	}
	if d.second != nil {
		d.second.Drain()
	}
	if d.router != nil {
		_ = d.router.Close() // ends hot-reload connections; it never fails
	}
}

// boundPushes has the work of pushed roles end when the doors close.
func (d *doors) boundPushes(c Config, parts map[Role]work) {
	for role, f := range parts {
		if c.pushes(role) {
			parts[role] = d.pushes.until(f)
		}
	}
}

// previewURL builds the addresses of previews on the port that we listen on.
func previewURL(domain string, addr net.Addr) func(id, token string) string {
	port := portOf(addr)
	return func(id, token string) string { return "http://" + id + "-" + token + "." + domain + port + "/" }
}

// appURL builds the addresses of deployed apps on the port that we listen on.
func appURL(domain string, addr net.Addr) func(name string) string {
	port := portOf(addr)
	return func(name string) string { return "http://" + name + "." + domain + port }
}

// portOf is the port as an http address has it: none for the usual one.
func portOf(addr net.Addr) string {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil || port == "80" {
		return ""
	}
	return ":" + port
}
