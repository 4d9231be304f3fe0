package gateway

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"sync"

	"github.com/coder/websocket"
)

// packFrom is the size in bytes from which a message is compressed for clients that take it so.
const packFrom = 4 << 10

// agentMessage is one message to clients. Frames of a server have no mask (RFC 6455, 5.1), and each is compressed by itself, so one that
// goes to many is encoded once. It is safe for concurrent use; nobody may change the payload.
type agentMessage struct {
	kind    websocket.MessageType
	payload []byte
	once    sync.Once
	packed  []byte
}

func newMessage(kind websocket.MessageType, payload []byte) *agentMessage {
	return &agentMessage{kind: kind, payload: payload}
}

// text is a message that is a frame of the protocol.
func text(frame []byte) *agentMessage { return newMessage(websocket.MessageText, frame) }

// body is what follows the head of the message's frame. packs says that the client takes compressed messages.
func (m *agentMessage) body(packs bool) (body []byte, packed bool) {
	if !packs || len(m.payload) < packFrom {
		return m.payload, false
	}
	m.once.Do(func() {
		if smaller := deflated(m.payload); len(smaller) < len(m.payload) {
			m.packed = smaller
		}
	})
	if m.packed == nil {
		return m.payload, false
	}
	return m.packed, true
}

// appendHead appends the head of an unmasked frame that is a whole message (RFC 6455, 5.2).
func appendHead(to []byte, kind websocket.MessageType, size int, packed bool) []byte {
	first := 0x80 | byte(kind)
	if packed {
		first |= 0x40
	}
	switch {
	case size <= 125:
		return append(to, first, byte(size))
	case size <= 0xffff:
		return binary.BigEndian.AppendUint16(append(to, first, 126), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(to, first, 127), uint64(size))
	}
}

// maxHead is the largest head in bytes.
const maxHead = 10

var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is one of its own
	}
	return w
}}

// deflated compresses a message without what came before it (RFC 7692, 7.2.1).
func deflated(payload []byte) []byte {
	out := bytes.NewBuffer(make([]byte, 0, len(payload)/4))
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(out)
	_, _ = w.Write(payload) // a buffer takes all
	_ = w.Flush()
	return bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
}
