package cfclient

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
)

const (
	// pingEvery is how often a quiet socket is asked whether it is still there. The bridge's runtime answers without waking
	// the object behind it.
	pingEvery = 20 * time.Second
	// maxRefusal is how much of a refused handshake is read.
	maxRefusal = 64 << 10
)

// Listen opens a WebSocket and calls fn with each text that comes, until ctx ends, fn returns an error, or the connection breaks:
// it returns ctx's error, fn's, or that of the connection. A refusal is an [Error]. Nothing is sent.
func (c *Client) Listen(ctx context.Context, path string, query url.Values, fn func(text []byte) error) error {
	r := Request{Path: path, Query: query}
	conn, err := c.dial(ctx, r, http.Header{})
	if err != nil {
		return err
	}
	defer conn.CloseNow() //nolint:errcheck // there is nothing left to lose

	ctx, cancel := context.WithCancelCause(ctx)
	pinging := make(chan struct{})
	go func() {
		defer close(pinging)
		keepAlive(ctx, cancel, conn)
	}()
	defer func() {
		cancel(nil)
		<-pinging
	}()
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fault(r, err)
		}
		if err := fn(text); err != nil {
			return err
		}
	}
}

// keepAlive ends a connection that no longer answers.
func keepAlive(ctx context.Context, end context.CancelCauseFunc, conn *websocket.Conn) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			alive, cancel := context.WithTimeout(ctx, pingEvery)
			err := conn.Ping(alive)
			cancel()
			if err != nil {
				end(err)
				return
			}
		}
	}
}

// dial opens a WebSocket within the client's timeout.
func (c *Client) dial(ctx context.Context, r Request, header http.Header) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	target := *c.base
	target.Path, target.RawQuery = r.Path, r.Query.Encode()
	header.Set("Authorization", "Bearer "+c.key)
	conn, response, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: header}) //nolint:bodyclose // the package closes it
	if err == nil {
		return conn, nil
	}
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal)) // what cannot be read is not the bridge's
		if refusal := refused(response, body); refusal != nil {
			return nil, refusal
		}
	}
	return nil, fault(r, err)
}
