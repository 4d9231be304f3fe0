package app

import (
	"net/netip"
	"strings"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

// RouterConfig is about the hosts of previews and apps. Lists are apart by commas or spaces.
type RouterConfig struct {
	// Scheme is how browsers reach the router: http, https, or auto, by the connection, which is wrong behind a load balancer that ends
	// TLS. ROUTER_SCHEME. Defaults to auto.
	Scheme string
	// Origins are pages that may read answers of previews and apps across origins, such as https://build.example.com.
	// ROUTER_ORIGINS. Defaults to none; with AppDomain localhost every page of localhost may.
	Origins []string
	// Endpoints are the hosts that apps of target cloudrun may be at: names, IP addresses, and *.<domain> for all below a domain.
	// APP_ENDPOINT_HOSTS. Defaults to *.run.app.
	Endpoints deployment.Endpoints
	// Networks are private networks that those hosts may be in, such as 10.0.0.0/8 for private endpoints. APP_ENDPOINT_NETWORKS. Defaults
	// to none: only addresses of the Internet.
	Networks []netip.Prefix
	// OwnerKey is the key of the tokens that open private apps for their owners, VibeSDK's JWT_SECRET. Read from the file that
	// OWNER_TOKEN_KEY_FILE names. Defaults to none, and then nobody sees private apps that have an owner.
	OwnerKey string
	// MaxBody bounds a request's body, in MiB. ROUTER_MAX_BODY. Defaults to 100.
	MaxBody int
	// MaxPerApp bounds the requests under way for one app or sandbox. ROUTER_MAX_PER_APP. Defaults to 1000, at least 10: a page opens
	// several at once.
	MaxPerApp int
}

func (r *reader) router() RouterConfig {
	c := RouterConfig{
		Scheme:    r.oneOf("ROUTER_SCHEME", "auto", "http", "https"),
		Origins:   list(r.text("ROUTER_ORIGINS", "")),
		OwnerKey:  r.secretFile("OWNER_TOKEN_KEY_FILE"),
		MaxBody:   r.number("ROUTER_MAX_BODY", 100, 1, 10240),
		MaxPerApp: r.number("ROUTER_MAX_PER_APP", 1000, 10, 1_000_000),
	}
	var err error
	if c.Endpoints, err = deployment.NewEndpoints(list(r.text("APP_ENDPOINT_HOSTS", ""))); err != nil {
		r.fault("APP_ENDPOINT_HOSTS", "%s", err)
	}
	for _, text := range list(r.text("APP_ENDPOINT_NETWORKS", "")) {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			r.fault("APP_ENDPOINT_NETWORKS", "%q is not a network like 10.0.0.0/8", text)
		}
		c.Networks = append(c.Networks, network)
	}
	for _, origin := range c.Origins {
		if !strings.HasPrefix(origin, "https://") && !strings.HasPrefix(origin, "http://") {
			r.fault("ROUTER_ORIGINS", "%q is not an origin like https://build.example.com", origin)
		}
		r.httpAddress("ROUTER_ORIGINS", origin)
	}
	if n := len(c.OwnerKey); n > 0 && n < router.MinOwnerKey {
		r.fault("OWNER_TOKEN_KEY_FILE", "holds %d characters; HS256 needs %d", n, router.MinOwnerKey)
	}
	return c
}
