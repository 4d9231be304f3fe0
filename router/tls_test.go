package router

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/platform/deployment"
)

// oneApp is a table with one app.
type oneApp deployment.App

func (a oneApp) App(context.Context, string) (deployment.App, error) { return deployment.App(a), nil }

func (oneApp) Preview(context.Context, string) (deployment.Preview, error) {
	return deployment.Preview{}, deployment.ErrNotFound
}

// TestTLSUpstream is a service on Cloud Run: HTTP/2 for requests, and HTTP/1.1 beside it for WebSockets, which
// HTTP/2 connections do not carry.
func TestTLSUpstream(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			_, _ = io.WriteString(w, r.Proto+" "+r.Host)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		_ = conn.Write(r.Context(), websocket.MessageText, []byte(r.Proto))
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	t.Cleanup(upstream.Close)

	rt, err := New(Options{Domain: "localhost", PreviewDomain: "preview.localhost",
		Lookup:    oneApp{Name: "shop", Place: deployment.Place{Target: deployment.TargetCloudRun, Endpoint: upstream.URL}},
		Endpoints: deployment.Endpoints{Hosts: []string{"127.0.0.1"}}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(upstream.Certificate())
	rt.services.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	front := httptest.NewServer(rt)
	t.Cleanup(front.Close)

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.localhost"
	res, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if want := "HTTP/2.0 " + strings.TrimPrefix(upstream.URL, "https://"); err != nil || string(body) != want {
		t.Errorf("got %q, %v; want %q", body, err, want)
	}

	conn, _, err := websocket.Dial(t.Context(), front.URL+"/ws", &websocket.DialOptions{Host: "shop.localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if _, message, err := conn.Read(t.Context()); err != nil || string(message) != "HTTP/1.1" {
		t.Errorf("WebSocket: got %q, %v", message, err)
	}
}
