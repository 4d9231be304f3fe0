package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits of a connection. There is no limit on the time that a body or an answer takes: uploads, log streams and
// hot-reload connections are long on purpose.
const (
	// ReadHeaderTimeout is how long a client may take to send a request's header.
	ReadHeaderTimeout = 10 * time.Second
	// IdleTimeout is how long a kept-alive connection waits for its next request.
	IdleTimeout = 2 * time.Minute
	// MaxHeaderBytes is the largest request header.
	MaxHeaderBytes = 64 << 10
)

// ErrAddressTaken is returned by [Listen] when another program listens on the address.
var ErrAddressTaken = errors.New("address is in use by another program")

// ErrNotLoopback is returned by [CheckLoopback] for an address that other machines can reach.
var ErrNotLoopback = errors.New("address can be reached from other machines")

// Listen listens on a TCP address, host:port. It returns ErrAddressTaken when the address is in use.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %w", address, ErrAddressTaken)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return ln, nil
}

// CheckLoopback returns ErrNotLoopback unless address, host:port, names this machine only: an IP address of
// the loopback network or `localhost`. Names are not looked up.
func CheckLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", address)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s: %w", address, ErrNotLoopback)
}

// Server serves one handler on one listener.
type Server struct {
	http   *http.Server
	ln     net.Listener
	cancel context.CancelFunc
	closed atomic.Bool
	ending sync.WaitGroup // one for each function of OnStop
}

// New returns a server that answers on ln with h once [Server.Serve] is called. Errors of connections go to log.
func New(ln net.Listener, h http.Handler, log *slog.Logger) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		http: &http.Server{
			Handler:           afresh(h),
			ReadHeaderTimeout: ReadHeaderTimeout,
			IdleTimeout:       IdleTimeout,
			MaxHeaderBytes:    MaxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			BaseContext:       func(net.Listener) context.Context { return ctx },
		},
		ln:     ln,
		cancel: cancel,
	}
}

// afresh clears the deadline that the answer before on the same connection was written with: another handler may have set it.
func afresh(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // connections have deadlines
		h.ServeHTTP(w, r)
	})
}

// Addr is the address that the server listens on, host:port.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// OnStop registers f to be called when [Server.Stop] begins, so that endless answers, and connections that were taken over, can end
// themselves. Stop waits for it, and until then no context of a request is cancelled. It must be called before Stop.
func (s *Server) OnStop(f func()) {
	s.ending.Add(1)
	s.http.RegisterOnShutdown(func() {
		defer s.ending.Done()
		f()
	})
}

// Serve answers until Stop is called, and then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.Addr(), err)
	}
	return nil
}

// answerer is a listener that answers some requests itself. Shutdown waits for them as that of an http.Server does.
type answerer interface {
	Shutdown(ctx context.Context) error
}

// Stop takes no more connections and waits until all requests are answered and all functions of [Server.OnStop] have returned, or ctx
// ends; then it cancels the requests' contexts and cuts their connections. It returns the error of ctx when it had to cut. Stop again is
// nil.
func (s *Server) Stop(ctx context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	defer s.cancel()
	err := s.http.Shutdown(ctx)
	if own, ok := s.ln.(answerer); ok {
		err = errors.Join(err, own.Shutdown(ctx))
	}
	ended := make(chan struct{})
	go func() { s.ending.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		s.cancel()
		return errors.Join(err, s.http.Close())
	}
	return nil
}
