//go:build unix

package guest

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// probePause is the time between the first attempts to reach a server that does not listen yet; it grows to
// probePauseMax.
const (
	probePause    = 10 * time.Millisecond
	probePauseMax = 100 * time.Millisecond
)

// loopbacks are tried in turn: what a program means by localhost may be only one of them.
var loopbacks = []string{"127.0.0.1", "::1"}

// prober finds out where a development server answers, among the ports it was given or announced.
type prober struct {
	ctx    context.Context
	client *http.Client
	// mine reports whether the development server listens on a port. Another program may have the port that
	// was announced; it must be neither asked nor shown.
	mine func(port int) bool
	// found is called for each address that answers HTTP.
	found func(port int, address string)

	mu    sync.Mutex
	ports map[int]bool
}

func newProber(ctx context.Context, mine func(int) bool, found func(int, string)) *prober {
	return &prober{ctx: ctx, mine: mine, found: found, ports: map[int]bool{}, client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// add begins to probe a port until it answers or ctx ends. It returns at once, also for a port known before.
func (p *prober) add(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports[port] {
		return
	}
	p.ports[port] = true
	for _, host := range loopbacks {
		go p.probe(port, net.JoinHostPort(host, strconv.Itoa(port)))
	}
}

func (p *prober) probe(port int, address string) {
	for pause := probePause; p.ctx.Err() == nil; pause = min(pause*5/4, probePauseMax) {
		if p.mine(port) && p.answers(address) {
			p.found(port, address)
			return
		}
		select {
		case <-time.After(pause):
		case <-p.ctx.Done():
		}
	}
}

// answers reports any answer in HTTP, errors included. The first page of a development server may take long,
// since it is compiled for the first time, so there is no time limit but ctx.
func (p *prober) answers(address string) bool {
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return false
	}
	req.Header.Set("Accept", "text/html,*/*")
	req.Header.Set("User-Agent", "sandboxd")
	resp, err := p.client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return true
}

// freePort returns a port that nobody listened on a moment ago.
func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close() //nolint:errcheck // only its number is wanted
	return l.Addr().(*net.TCPAddr).Port, nil
}
