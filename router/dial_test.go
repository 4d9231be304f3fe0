package router_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

// rows is a table that somebody wrote past every check.
type rows map[string]deployment.App

func (r rows) App(_ context.Context, name string) (deployment.App, error) {
	a, ok := r[name]
	if !ok {
		return a, deployment.ErrNotFound
	}
	a.Name = name
	return a, nil
}

func (rows) Preview(context.Context, string) (deployment.Preview, error) {
	return deployment.Preview{SandboxID: sandboxID, Token: token, Fence: 1, Endpoint: "http://metadata.google.internal:80"}, nil
}

// TestEndpointsLeadNowhereElse: whatever the table says, the router connects to services on the Internet and to processes on this machine,
// and decides by the address, not by the name.
func TestEndpointsLeadNowhereElse(t *testing.T) {
	t.Parallel()
	var contacts atomic.Int32
	w := newWorld(t, func(http.ResponseWriter, *http.Request) { contacts.Add(1) })
	_, port, err := net.SplitHostPort(w.upstreamHost())
	if err != nil {
		t.Fatal(err)
	}
	self := netip.MustParseAddrPort(w.upstreamHost())
	place := func(target deployment.Target, endpoint string) deployment.App {
		return deployment.App{Place: deployment.Place{Target: target, Endpoint: endpoint}}
	}
	// localhost stands for any name that is allowed and leads to an address that is not: it is looked up like the others.
	allowed := deployment.Endpoints{Hosts: []string{"localhost", "127.0.0.1", "169.254.169.254", "0.0.0.0"}}
	table := rows{
		"name":       place(deployment.TargetCloudRun, "localhost:"+port),
		"loopback":   place(deployment.TargetCloudRun, "127.0.0.1:"+port),
		"tls":        place(deployment.TargetCloudRun, "https://127.0.0.1:"+port),
		"any":        place(deployment.TargetCloudRun, "0.0.0.0:"+port),
		"metadata":   place(deployment.TargetCloudRun, "169.254.169.254:80"),
		"unlisted":   place(deployment.TargetCloudRun, "https://evil.example"),
		"process":    place(deployment.TargetProcess, "169.254.169.254:80"),
		"processany": place(deployment.TargetProcess, "0.0.0.0:"+port),
		"nothing":    place("", "127.0.0.1:"+port),
		"worker":     place(deployment.TargetCloudflare, "../../v1/sessions"),
		"audience":   {Place: deployment.Place{Target: deployment.TargetCloudRun, Endpoint: "https://127.0.0.1:" + port, Audience: "x"}},
		"self":       place(deployment.TargetProcess, "127.0.0.1:"+port),
		"split":      {Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: w.upstreamHost()}, Rollout: &deployment.Rollout{Place: deployment.Place{Target: deployment.TargetCloudRun, Endpoint: "localhost:" + port}, Weight: 100}},
	}
	o := router.Options{
		Domain: "localhost", PreviewDomain: "preview.localhost", Lookup: table, Endpoints: allowed, Self: self, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	w.serve(o)
	for name := range table {
		res := w.get(name+".localhost", "/")
		t.Log(name)
		wantAnswer(t, res, http.StatusInternalServerError, "An error occurred while loading this application.")
		wantBare(t, res)
	}
	wantAnswer(t, w.get(w.previewHost(), "/"), http.StatusInternalServerError, "Proxy routing error")
	if contacts.Load() != 0 {
		t.Errorf("%d requests arrived", contacts.Load())
	}
	if !strings.Contains(w.log.String(), "169.254.169.254:80: the endpoint leads to an address that is not allowed") {
		t.Errorf("the log does not say why: %s", w.log)
	}

	// The same places by the rules.
	o.Self, o.Networks = netip.AddrPort{}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	w.serve(o)
	for _, name := range []string{"loopback", "self"} {
		wantAnswer(t, w.get(name+".localhost", "/"), http.StatusOK, "")
	}
}
