package chaos_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// network is what stands between programs and back ends.
type network struct {
	server *toxiproxy.ApiServer
	links  map[string]*link
	names  []string
}

// link is the way to one back end, for all programs.
type link struct{ proxy *toxiproxy.Proxy }

func newNetwork() *network {
	return &network{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), links: map[string]*link{}}
}

// to makes a way to an address and returns where it begins.
func (n *network) to(t *testing.T, name, upstream string) string {
	t.Helper()
	proxy := toxiproxy.NewProxy(n.server, name, "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	n.links[name] = &link{proxy}
	n.names = append(n.names, name)
	return proxy.Listen
}

// slow delays what comes back.
func (l *link) slow(latency, jitter int) error {
	return l.toxic(`{"type":"latency","stream":"downstream","attributes":{"latency":%d,"jitter":%d}}`, latency, jitter)
}

// reset breaks each connection when it is used: what was sent may have arrived.
func (l *link) reset(after int) error {
	return l.toxic(`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":%d}}`, after)
}

// hang swallows what comes back, and leaves the connections open.
func (l *link) hang() error {
	return l.toxic(`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)
}

func (l *link) toxic(format string, args ...any) error {
	_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(format, args...)))
	return err
}

// cut breaks all connections, and lets no new ones be made.
func (l *link) cut() error {
	l.proxy.Stop()
	return nil
}

// mend ends whatever was done to the link.
func (l *link) mend() error {
	l.proxy.Toxics.ResetToxics(context.Background())
	if l.proxy.Enabled {
		return nil
	}
	return l.proxy.Start()
}
