package app

import (
	"context"
	"net"
	"net/netip"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/router"
)

// openRouter opens the door of previews and apps, which answers at addr.
func openRouter(c Config, p *provider, addr net.Addr) (*router.Router, error) {
	o := router.Options{
		Domain: c.AppDomain, PreviewDomain: c.PreviewDomain, Lookup: p.routes, Activity: p.records,
		AllowedOrigins: c.Router.Origins, DevOrigins: c.AppDomain == "localhost",
		Endpoints: c.Router.Endpoints, Networks: c.Router.Networks, Identity: &identity{}, OwnerKey: []byte(c.Router.OwnerKey),
		MaxBody: int64(c.Router.MaxBody) << 20, MaxPerApp: c.Router.MaxPerApp, Logger: p.log, MeterProvider: p.telemetry.Meter,
	}
	if c.Router.Scheme != "auto" {
		o.Scheme = c.Router.Scheme
	}
	if self, err := netip.ParseAddrPort(addr.String()); err == nil {
		o.Self = self
	}
	if c.Session.BridgeURL != "" && c.Session.BridgeKey != "" {
		bridge, err := cfclient.New(cfclient.Options{URL: c.Session.BridgeURL, Key: c.Session.BridgeKey})
		if err != nil {
			return nil, err
		}
		p.onClose("dispatch", func(context.Context) error { bridge.Close(); return nil })
		o.Dispatch = bridge
	}
	r, err := router.New(o)
	if err == nil {
		p.onClose("router", func(context.Context) error { return r.Close() })
	}
	return r, err
}
