package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"vibesdk-gcp/internal/httpserver"
)

// App is a running program: some roles over one provider.
type App struct {
	log      *slog.Logger
	drain    time.Duration
	provider *provider
	doors    *doors
	server   *httpserver.Server // nil without a role that has a door
	ballast  []byte

	cancel context.CancelFunc // ends the intake
	parts  *errgroup.Group
	broken chan struct{} // closed when a part failed
}

// Start starts the roles and returns once the doors are open. The roles run until [App.Stop].
func Start(ctx context.Context, c Config, roles []Role, log *slog.Logger) (_ *App, err error) {
	if err := c.CheckRoles(roles); err != nil {
		return nil, err
	}
	a := &App{log: log, drain: c.DrainTimeout, ballast: ballast()}
	var ln net.Listener
	if slices.Contains(roles, RoleGateway) || slices.Contains(roles, RoleRouter) || anyRole(roles, c.pushes) {
		if ln, err = listen(ctx, c, roles); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err == nil {
			return
		}
		if ln != nil {
			err = errors.Join(err, ln.Close())
		}
		if a.provider != nil {
			err = errors.Join(err, a.provider.close(context.WithoutCancel(ctx)))
		}
	}()
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	if a.provider, err = openPorts(ctx, c, roles, log); err != nil {
		return nil, err
	}
	parts, err := roleWork(c, a.provider, roles)
	if err != nil {
		return nil, err
	}
	if ln != nil {
		if a.doors, err = openDoors(c, a.provider, roles, ln.Addr()); err != nil {
			return nil, err
		}
		ln = httpserver.Limit(ln, c.MaxConnections)
		if a.doors.router != nil {
			spareProcessor()
			ln = a.doors.router.Lane(ln)
		}
		a.doors.boundPushes(c, parts)
		a.server = httpserver.New(ln, a.doors, log)
		a.server.OnStop(a.doors.drain)
	}
	a.run(ctx, parts)
	log.InfoContext(ctx, "started", "roles", joinRoles(roles), "addr", a.Addr())
	return a, nil
}

// listen opens the door's socket before anything else is touched: that another vibed runs is the commonest reason not
// to start.
func listen(ctx context.Context, c Config, roles []Role) (net.Listener, error) {
	if slices.Contains(roles, RoleGateway) && !c.Auth.Enabled() {
		if err := httpserver.CheckLoopback(c.Listen); err != nil {
			return nil, fmt.Errorf("LISTEN: %w: set API_KEY_FILE to the file with the key that callers must send, or API_KEYS_FILE to the file of callers, or listen on 127.0.0.1", err)
		}
	}
	if anyRole(roles, c.pushes) && c.Push.Audience == "" {
		if err := httpserver.CheckLoopback(c.Listen); err != nil {
			return nil, fmt.Errorf("LISTEN: %w: set PUSH_AUDIENCE and PUSH_ACCOUNT, which say whose pushes are taken, or listen on 127.0.0.1", err)
		}
	}
	ln, err := httpserver.Listen(ctx, c.Listen)
	if errors.Is(err, httpserver.ErrAddressTaken) {
		return nil, fmt.Errorf("%w: is vibed running already? Choose another with LISTEN=127.0.0.1:9000 (make run LISTEN=127.0.0.1:9000)", err)
	}
	return ln, err
}

// run starts the parts. They outlive ctx: Stop ends them in order.
func (a *App) run(ctx context.Context, parts map[Role]work) {
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.parts = &errgroup.Group{}
	a.broken = make(chan struct{}, len(parts)+5)
	start := func(name string, f func() error) {
		a.parts.Go(func() error {
			err := f()
			if err != nil {
				a.log.ErrorContext(ctx, "part failed", "part", name, "error", err)
				a.broken <- struct{}{}
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	start("watchdog", func() error { return a.provider.watchdog.Run(ctx) })
	start("records", func() error { return a.provider.records.Run(ctx) })
	if h := a.provider.history; h != nil {
		start("history", func() error { return h.Run(ctx) })
	}
	for role, f := range parts {
		start(string(role), func() error { return f(ctx) })
	}
	if a.server != nil {
		start("server", a.server.Serve)
	}
}

// Addr is the address of the doors, host:port; empty when no role has one.
func (a *App) Addr() string {
	if a.server == nil {
		return ""
	}
	return a.server.Addr()
}

// Broken receives when a part failed and the program should stop.
func (a *App) Broken() <-chan struct{} { return a.broken }

// Stop stops in order: doors, intake, handlers, sandboxes, drivers. Work under way has the configured drain time, and
// ctx bounds it all. It returns the first error of a part that failed before, or what did not close.
func (a *App) Stop(ctx context.Context) error {
	var failed []error
	if a.server != nil {
		doors, cancel := context.WithTimeout(ctx, a.drain)
		if err := a.server.Stop(doors); err != nil {
			a.log.WarnContext(ctx, "requests were cut off", "error", err)
		}
		cancel()
	}
	a.cancel()
	if err := a.parts.Wait(); err != nil { // the bus bounds this by the drain time
		failed = append(failed, err)
	}
	if err := a.provider.close(ctx); err != nil {
		failed = append(failed, err)
	}
	a.log.InfoContext(ctx, "stopped")
	return errors.Join(failed...)
}
