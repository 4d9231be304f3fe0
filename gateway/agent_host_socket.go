package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/internal/hostclient"
)

// hopHeaders are about one connection, or made anew for the one to the host.
var hopHeaders = []string{
	"Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Host", "Content-Length",
	"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Sec-Websocket-Accept", "Sec-Websocket-Protocol",
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto",
}

// proxySocket connects a client with the host, which is asked first: what it answers instead of an upgrade is the client's answer.
// Messages and close codes pass as they are; pings, limits and what ends slow readers are each side's own.
func (h *agentHost) proxySocket(g *Gateway, w http.ResponseWriter, r *http.Request, at agentAddress) {
	if r.Header.Get("Sec-WebSocket-Version") != "13" || r.Header.Get("Sec-WebSocket-Key") == "" || r.Header.Get("Origin") != "" && !g.ownOrigin(r) {
		_, _ = g.accept(w, r) // it says what is wrong
		return
	}
	id := at.sessionID(g.Agents.Main)
	release, ok := g.hub.reserve(id)
	if !ok {
		w.Header().Set("Retry-After", "1")
		plain(w, http.StatusServiceUnavailable, errTooMany.Error())
		return
	}
	defer release()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	up, err := h.dial(ctx, g, r, hostclient.Segment(id), w)
	if err != nil {
		g.log.WarnContext(ctx, "agent host took no connection", "session_id", id, "error", hostclient.Cause(err))
		return
	}
	defer up.CloseNow() //nolint:errcheck // over, however it ended
	var below net.Conn
	down, err := g.accept(&takenOver{w, func(conn net.Conn, both *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
		below = conn
		return conn, both
	}}, r)
	if err != nil {
		return // it has its answer
	}
	defer down.CloseNow() //nolint:errcheck // as above
	p := &socketPair{g: g, client: down, host: up, below: below, cancel: cancel}
	p.run(ctx)
}

// dial connects to the host, unless the server stops. When that fails the client has its answer.
func (h *agentHost) dial(ctx context.Context, g *Gateway, r *http.Request, session string, w http.ResponseWriter) (*websocket.Conn, error) {
	address, err := h.Address(r.URL.EscapedPath(), cleanQuery(r.URL.RawQuery))
	if err != nil {
		plain(w, http.StatusBadRequest, "Invalid request")
		return nil, err
	}
	headers := r.Header.Clone()
	for _, name := range hopHeaders {
		headers.Del(name)
	}
	h.filter(headers)
	h.Sign(ctx, headers)
	headers.Set(agentSessionHeader, session)
	headers.Set("X-Forwarded-Host", r.Host)
	headers.Set("X-Forwarded-For", strings.TrimPrefix(addressOf(r), "ip:"))
	ctx, cancel := context.WithTimeout(ctx, h.o.ConnectTimeout)
	defer cancel()
	defer context.AfterFunc(g.hub.open, cancel)()
	ws, resp, err := websocket.Dial(ctx, address.String(), &websocket.DialOptions{ //nolint:bodyclose // the library has read it
		HTTPClient: h.HTTP(), HTTPHeader: headers, CompressionMode: websocket.CompressionDisabled,
	})
	switch {
	case err == nil:
		ws.SetReadLimit(-1) // messages pass in pieces
		return ws, nil
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		// The library keeps the beginning of the body.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxHostError)) // what there is of it
		if kind := resp.Header.Get("Content-Type"); kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(body) // a client that is gone needs no answer
	default:
		plain(w, http.StatusBadGateway, errHostAway.text)
	}
	return nil, err
}

// socketPair passes messages between two connections until one of them ends.
type socketPair struct {
	g            *Gateway
	client, host *websocket.Conn
	// below is the client's connection. The library would wait for a goodbye that has begun before it closes it.
	below  net.Conn
	cancel context.CancelFunc
}

func (p *socketPair) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		_, _, _ = p.below.Close(), p.client.CloseNow(), p.host.CloseNow() // over
	})
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { p.pass(ctx, p.client, p.host, int64(p.g.Agents.MaxMessage)) })
	both.Go(func() { p.pass(ctx, p.host, p.client, 0) })
	both.Go(func() { p.watch(ctx) })
	both.Wait()
}

// watch tries the client now and then, and says goodbye when the server stops.
func (p *socketPair) watch(ctx context.Context) {
	tick := time.NewTicker(p.g.Agents.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.g.draining:
			closing, cancel := context.WithTimeout(ctx, drainAgents)
			defer cancel()
			go func() { <-closing.Done(); p.cancel() }()
			_ = p.client.Close(websocket.StatusServiceRestart, "the server restarts") // a client that is gone needs no reason
			return
		case <-tick.C:
			ping, cancel := context.WithTimeout(ctx, p.g.Agents.PongTimeout)
			err := p.client.Ping(ping)
			cancel()
			if err != nil {
				p.cancel()
				return
			}
		}
	}
}

// pass copies messages from one side to the other, and at the end how it ended. limit bounds a message in bytes; 0 does not.
func (p *socketPair) pass(ctx context.Context, from, to *websocket.Conn, limit int64) {
	err := p.copyAll(ctx, from, to, limit)
	code := websocket.CloseStatus(err)
	var reason string
	if e, ok := errors.AsType[websocket.CloseError](err); ok {
		reason = e.Reason
	}
	switch {
	case errors.Is(err, errMessageSize):
		_ = from.Close(websocket.StatusMessageTooBig, err.Error()) // it is over
		code, reason = websocket.StatusGoingAway, ""
	case code == websocket.StatusNoStatusRcvd: // a close frame without a code
		code = websocket.StatusNormalClosure
	case code == -1: // no close frame: the other side is cut, too
		p.cancel()
		return
	}
	_ = to.Close(code, reason) // the other side may be gone
	p.cancel()
}

var errMessageSize = errors.New("Message is too large") //nolint:staticcheck // as clients know it

func (p *socketPair) copyAll(ctx context.Context, from, to *websocket.Conn, limit int64) error {
	for {
		kind, reader, err := from.Reader(ctx)
		if err != nil {
			return err
		}
		if err := p.copyMessage(ctx, kind, reader, to, limit); err != nil {
			return err
		}
	}
}

// copyMessage passes one message, piece by piece. A side that does not take a piece in time is cut.
func (p *socketPair) copyMessage(ctx context.Context, kind websocket.MessageType, reader io.Reader, to *websocket.Conn, limit int64) error {
	ctx, cancel := context.WithTimeout(ctx, p.g.Agents.MessageTimeout)
	defer cancel()
	stuck := time.AfterFunc(p.g.Agents.MessageTimeout, p.cancel)
	defer stuck.Stop()
	writer, err := to.Writer(ctx, kind)
	if err != nil {
		return err
	}
	if limit > 0 {
		reader = io.LimitReader(reader, limit+1)
	}
	n, err := io.Copy(writer, reader)
	if err != nil {
		return err
	}
	if limit > 0 && n > limit {
		return errMessageSize
	}
	return writer.Close()
}
