package gateway

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// agentWire is the connection below a WebSocket whose messages are written past the library. That reads from it, and writes control
// frames, each in one call: answers to pings and the end.
type agentWire struct {
	net.Conn

	// packs says that the client takes compressed messages.
	packs bool
	// dry is called before more is read from the connection: all that the client has sent so far was handled. It is set before the
	// library reads.
	dry func()

	// raw tries to write; nil when that cannot be tried.
	raw syscall.RawConn
	// attempt writes part once, and sets n and err.
	attempt func(fd uintptr) bool
	part    []byte
	n       int
	err     error

	// writing is held while a frame is on its way, so that those of two writers do not mix.
	writing sync.Mutex
	// over says that nothing may follow the frame that was written last.
	over bool
}

// controlBuffer holds the largest control frame: 125 bytes and its head.
const controlBuffer = 256

// errWireOver is of what comes behind the frame that closes a connection.
var errWireOver = errors.New("the connection is being closed")

// upgradeWire is upgrade for a connection whose messages are written by [agentWire.try] and [agentWire.send].
func (g *Gateway) upgradeWire(w http.ResponseWriter, r *http.Request, o *websocket.AcceptOptions) (*websocket.Conn, *agentWire, error) {
	var wire *agentWire
	ws, err := g.upgrade(&takenOver{w, func(conn net.Conn, both *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
		wire = newWire(conn)
		return wire, bufio.NewReadWriter(both.Reader, bufio.NewWriterSize(wire, controlBuffer))
	}}, r, o)
	if err != nil {
		return nil, nil, err
	}
	wire.packs = w.Header().Get("Sec-WebSocket-Extensions") != ""
	return ws, wire, nil
}

// takenOver is an answer whose connection is passed through a function when it is taken over.
type takenOver struct {
	http.ResponseWriter

	through func(net.Conn, *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter)
}

// Unwrap gives http.ResponseController what is below.
func (t *takenOver) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Hijack implements http.Hijacker.
func (t *takenOver) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, both, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	conn, both = t.through(conn, both)
	return conn, both, nil
}

func newWire(conn net.Conn) *agentWire {
	w := &agentWire{Conn: conn}
	if own, ok := conn.(syscall.Conn); ok && canTry {
		if raw, err := own.SyscallConn(); err == nil {
			w.raw = raw
			w.attempt = func(fd uintptr) bool {
				w.n, w.err = writeNow(fd, w.part)
				return true
			}
		}
	}
	return w
}

// Read implements net.Conn.
func (w *agentWire) Read(p []byte) (int, error) {
	if w.dry != nil {
		w.dry()
	}
	return w.Conn.Read(p)
}

// Write implements net.Conn, for control frames.
func (w *agentWire) Write(p []byte) (int, error) {
	const opClose = 0x8
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.over {
		return 0, net.ErrClosed
	}
	w.over = len(p) > 0 && p[0]&0xf == opClose
	return w.Conn.Write(p)
}

// try writes as much of a batch as the connection takes at once, and reports whether that was all. The rest must be given to send: after
// a part of it nobody else may write.
func (w *agentWire) try(b *batch) (all bool, err error) {
	if w.raw == nil || !w.writing.TryLock() {
		return false, nil
	}
	b.begun = true
	if w.over {
		w.done(b)
		return false, errWireOver
	}
	for len(b.small) > 0 || len(b.large) > 0 {
		w.part = b.next()
		if err := w.raw.Write(w.attempt); err != nil {
			w.part = nil
			w.done(b)
			return false, err
		}
		n, err := w.n, w.err
		w.part = nil
		b.skip(n)
		switch {
		case err == nil:
		case errors.Is(err, syscall.EAGAIN):
			return false, nil
		default:
			w.done(b)
			return false, err
		}
	}
	w.done(b)
	return true, nil
}

// send writes a batch, or what try left of it, within the time.
func (w *agentWire) send(b *batch, timeout time.Duration) error {
	defer w.done(b)
	if !b.begun {
		w.writing.Lock()
		b.begun = true
		if w.over {
			return errWireOver
		}
	}
	if err := w.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	for len(b.small) > 0 || len(b.large) > 0 {
		n, err := w.Conn.Write(b.next())
		b.skip(n)
		if err != nil {
			return err
		}
	}
	return w.SetWriteDeadline(time.Time{})
}

func (w *agentWire) done(b *batch) {
	b.begun = false
	w.writing.Unlock()
}
