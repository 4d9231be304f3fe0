package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/internal/httpserver"
)

// pushes is the door for Pub/Sub's pushes. Only the account of the configuration may use it; without one, programs on this machine.
type pushes struct {
	next    http.Handler
	account *auth.Account // nil on one machine
	ready   func(ctx context.Context) error
	log     *slog.Logger

	ended context.Context //nolint:containedctx // it is a signal to consumers, which have contexts of their own
	end   context.CancelFunc
}

// openPushes is nil when none of the roles is pushed.
func openPushes(c Config, p *provider, roles []Role) (*pushes, error) {
	if !anyRole(roles, c.pushes) {
		return nil, nil //nolint:nilnil // there is no such door, which is no fault
	}
	d := &pushes{next: p.push, ready: p.db.R.PingContext, log: p.log}
	d.ended, d.end = context.WithCancel(context.Background())
	if c.Push.Audience == "" {
		return d, nil
	}
	var err error
	d.account, err = auth.NewAccount(auth.OIDC{Audience: c.Push.Audience, Issuer: c.Push.Issuer, KeysURL: c.Push.KeysURL}, c.Push.Account, nil)
	if err != nil {
		return nil, fmt.Errorf("PUSH_AUDIENCE, PUSH_ACCOUNT: %w", err)
	}
	return d, nil
}

// match reports whether a request is for this door.
func (d *pushes) match(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/push/") }

// ServeHTTP implements http.Handler.
func (d *pushes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if status, why := d.admit(r); status != http.StatusOK {
		if status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Bearer realm="push"`)
		}
		d.log.WarnContext(r.Context(), "a push was not admitted", "path", r.URL.Path, "status", status, "why", why)
		http.Error(w, why, status)
		return
	}
	d.next.ServeHTTP(w, r)
}

func (d *pushes) admit(r *http.Request) (status int, why string) {
	if d.account == nil {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		// A page in a browser of this machine could come this far.
		if r.Header.Get("Origin") != "" || httpserver.CheckLoopback(net.JoinHostPort(strings.Trim(host, "[]"), "80")) != nil {
			return http.StatusForbidden, "without PUSH_AUDIENCE only programs on this machine may push"
		}
		return http.StatusOK, ""
	}
	token := auth.Bearer(r.Header)
	if token == "" {
		return http.StatusUnauthorized, "the push has no ID token: give its subscription an account (--push-auth-service-account)"
	}
	switch err := d.account.Check(r.Context(), token); {
	case err == nil:
		return http.StatusOK, ""
	case errors.Is(err, auth.ErrUnavailable):
		d.log.WarnContext(r.Context(), "the token of a push cannot be checked", "error", err)
		return http.StatusServiceUnavailable, "the token cannot be checked now"
	default:
		return http.StatusForbidden, "the ID token is not one of Pub/Sub's for this consumer: " + err.Error()
	}
}

// health answers machines that look at a program without a gateway: /healthz and /readyz, as the gateway does.
func (d *pushes) health(w http.ResponseWriter, r *http.Request) {
	status, said := http.StatusOK, "ok"
	switch r.URL.Path {
	case "/healthz":
	case "/readyz":
		said = "ready"
		if err := d.ready(r.Context()); err != nil {
			d.log.WarnContext(r.Context(), "not ready", "error", err)
			status, said = http.StatusServiceUnavailable, "unavailable"
		}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": said}) // the status line says the same
}

// until ends the work of a pushed consumer together with its door: what waits for another attempt would hold the door open.
func (d *pushes) until(f work) work {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(d.ended, cancel)()
		return f(ctx)
	}
}
