//go:build linux

package router

import (
	"bytes"
	"context"
	"crypto/subtle"
	"net"
	"sync"
	"sync/atomic"

	"vibesdk-gcp/platform/deployment"
)

// lanePlace is where a plain request goes.
type lanePlace struct {
	key  upstreamKey
	host string // the upstream's own, with its port if that is not the usual one
}

// laneRoute is what a plain request is for.
type laneRoute struct {
	kind  site
	name  string
	place *lanePlace
}

// laneSite is what a host says. A browser sends the same one again and again.
type laneSite struct {
	host      []byte
	kind      site
	label     string // the app's, or the sandbox's id
	token     string
	malformed bool
}

// read reads a host, unless it is the one that was read last.
func (s *laneSite) read(d domains, host []byte) {
	if len(s.host) > 0 && bytes.Equal(s.host, host) {
		return
	}
	*s = laneSite{host: append(s.host[:0], host...)}
	s.kind, s.label = d.match(string(host))
	if s.kind == previewSite {
		id, token, ok := parsePreviewLabel(s.label)
		s.label, s.token, s.malformed = id, token, !ok
	}
}

// route finds the place of the request. What it does not find, or what needs more than a place, is not the lane's.
func (c *laneConn) route(ctx context.Context) (laneRoute, bool) {
	rt, q := c.lane.rt, &c.req
	s := &c.site
	s.read(rt.domains, q.host)
	r := laneRoute{kind: s.kind, name: s.label}
	var place deployment.Place
	switch s.kind {
	case previewSite:
		if s.malformed {
			return r, false
		}
		p, err := rt.lookup.Preview(ctx, s.label)
		if err != nil || subtle.ConstantTimeCompare([]byte(p.Token), []byte(s.token)) != 1 {
			return r, false
		}
		place.Endpoint = p.Endpoint // it says itself what it is
	case appSite:
		a, err := rt.lookup.App(ctx, s.label)
		if err != nil || a.Gated() || a.Rollout != nil || a.Audience != "" || q.own {
			return r, false
		}
		place = a.Place
	default:
		return r, false
	}
	if c.place == nil || c.last != place {
		c.last, c.place = place, c.lane.places.get(rt, place)
	}
	r.place = c.place
	return r, r.place != nil
}

// places remembers what places say: parsing a URL costs as much as the rest of a plain request.
type places struct {
	known sync.Map // deployment.Place → *lanePlace, nil for one that is not the lane's
	n     atomic.Int64
}

// mostPlaces bounds what is remembered. Then it begins anew.
const mostPlaces = 10_000

func (s *places) get(rt *Router, p deployment.Place) *lanePlace {
	if known, ok := s.known.Load(p); ok {
		return known.(*lanePlace)
	}
	if s.n.Add(1) > mostPlaces {
		s.known.Clear()
		s.n.Store(1)
	}
	place := parsePlace(rt, p)
	s.known.Store(p, place)
	return place
}

func parsePlace(rt *Router, p deployment.Place) *lanePlace {
	if p.Target == "" {
		p.Target = deployment.TargetOf(p.Endpoint)
	}
	if p.Target == deployment.TargetCloudflare || rt.endpoints.Check(p) != nil {
		return nil
	}
	u, err := deployment.ParseEndpoint(p.Endpoint)
	if err != nil || u.Scheme != "http" {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return &lanePlace{key: upstreamKey{p.Target, net.JoinHostPort(u.Hostname(), port)}, host: u.Host}
}
