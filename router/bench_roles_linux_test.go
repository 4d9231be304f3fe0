package router_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/router"
	"vibesdk-gcp/schemas"
)

func serveBare(ln net.Listener, upstream string) error {
	target := &url.URL{Scheme: "http", Host: upstream}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	}
	return (&http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}).Serve(ln)
}

func serveRouter(ln net.Listener, upstream string) error { return serveRouterOn(ln, upstream, 0, true) }

func serveFull(ln net.Listener, upstream string) error {
	return serveRouterOn(ln, upstream, manyApps, true)
}

func serveFew(ln net.Listener, upstream string) error {
	return serveRouterOn(ln, upstream, fewApps, true)
}

func serveSlow(ln net.Listener, upstream string) error { return serveRouterOn(ln, upstream, 0, false) }

func serveRouterOn(ln net.Listener, upstream string, apps int, lane bool) error {
	dir, err := os.MkdirTemp("", "router-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sqldb.Open(context.Background(), "sqlite:"+filepath.Join(dir, "bench.db"), sqldb.Options{})
	if err != nil {
		return err
	}
	if err := db.Migrate(context.Background(), schemas.SQL()); err != nil {
		return err
	}
	_, err = db.W.ExecContext(context.Background(), `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
		INSERT INTO app_deployments (app_name, target, endpoint, version, updated_at) SELECT 'app-' || i, 'process', ?2, 1, 1 FROM n WHERE ?1 > 0`, apps, upstream)
	if err != nil {
		return err
	}
	table := deployment.NewTable(sqldeployment.New(db), deployment.Options{})
	p := deployment.Preview{SandboxID: sandboxID, Token: token, Fence: 1, Endpoint: upstream}
	if err := table.PutPreview(context.Background(), p); err != nil {
		return err
	}
	rt, err := router.New(router.Options{
		Domain: "localhost", PreviewDomain: "preview.localhost", Lookup: table, Activity: &lastSeen{at: map[string]time.Time{}},
		DevOrigins: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	if lane {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) // as vibed does
		ln = rt.Lane(ln)
	}
	return (&http.Server{Handler: rt, ReadHeaderTimeout: time.Minute}).Serve(ln)
}

// lastSeen keeps what a program would: the latest time by sandbox.
type lastSeen struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (l *lastSeen) Touch(id string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at[id] = at
}
