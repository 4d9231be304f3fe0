package gateway

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/coder/websocket"
)

const (
	// batchSize is how much is written at once, in bytes.
	batchSize = 32 << 10
	// heldFrames is how many frames a held queue keeps at most before it is sent nevertheless.
	heldFrames = 128
	// inlineBytes is how much waits at most when it is sent by who put it there: more is compressed and copied by a goroutine.
	inlineBytes = 64 << 10
	// keptFrames is how many places of an empty queue are kept.
	keptFrames = 16
	// flushShare is how many connections one goroutine sends to after a broadcast.
	flushShare = 32
)

// outgoing is a message that waits to be sent, or the end of the connection behind those before it.
type outgoing struct {
	message *agentMessage
	shut    *hostClose
}

func (o outgoing) size() int {
	if o.message == nil {
		return 0
	}
	return len(o.message.payload)
}

// sendQueue is what waits for a client, guarded by its lock.
type sendQueue struct {
	mu      sync.Mutex
	waiting []outgoing
	// bytes are those that wait or are being written.
	bytes int
	// writing says that somebody sends what waits.
	writing bool
	closing bool
	// corked says that the connection's reader has more to handle, and held counts broadcasts that are under way: what is put into
	// the queue meanwhile is sent together.
	corked bool
	held   int
	// room is closed when a part of what waits was sent; nil when nobody waits for that.
	room chan struct{}
}

// queue appends a frame to what the client is sent. It never waits: a client that reads too slowly is closed, and learns all it
// missed when it connects again. Nobody may change the frame afterwards.
func (c *agentConn) queue(frame []byte) { c.queueMessage(text(frame)) }

// queueMessage is queue for a message that may go to others as well.
func (c *agentConn) queueMessage(m *agentMessage) {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	o := &c.g.Agents
	if len(c.waiting) >= o.QueueFrames || c.bytes > 0 && c.bytes+len(m.payload) > o.QueueBytes {
		c.closing = true
		c.waiting = nil
		c.mu.Unlock()
		c.g.log.Info("client of an agent reads too slowly and is closed", "session_id", c.s.id, "frames", o.QueueFrames, "bytes", o.QueueBytes)
		go c.close(websocket.StatusTryAgainLater, "the client reads too slowly")
		return
	}
	c.add(outgoing{message: m})
}

// add appends a message and sends what waits unless that is held. The lock is held, and given back.
func (c *agentConn) add(o outgoing) {
	c.waiting = append(c.waiting, o)
	c.bytes += o.size()
	c.kick()
}

// kick sends what waits unless it is held or somebody does so already. The lock is held, and given back.
func (c *agentConn) kick() {
	few := c.bytes <= inlineBytes
	if c.writing || len(c.waiting) == 0 || (c.corked || c.held > 0) && few && len(c.waiting) < heldFrames {
		c.mu.Unlock()
		return
	}
	c.writing = true
	c.mu.Unlock()
	if few {
		c.flush()
	} else {
		go c.flush()
	}
}

// cork holds the answers to what the client sent until the reader would wait for more.
func (c *agentConn) cork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

func (c *agentConn) uncork() {
	c.mu.Lock()
	c.corked = false
	c.kick()
}

// hold keeps what is queued together until release.
func (c *agentConn) hold() {
	c.mu.Lock()
	c.held++
	c.mu.Unlock()
}

func (c *agentConn) release() {
	c.mu.Lock()
	c.held--
	c.kick()
}

// releaseAll sends what a broadcast left with connections. None of them waits for another that reads slowly.
func releaseAll(conns []*agentConn) {
	share := max(flushShare, (len(conns)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	release := func(part []*agentConn) {
		for _, c := range part {
			c.release()
		}
	}
	for ; len(conns) > share; conns = conns[share:] {
		go release(conns[:share])
	}
	release(conns)
}

// offer appends a message of the host's once there is room: who writes more than the client reads is slowed down, and half of the
// queue is left to what cannot wait.
func (c *agentConn) offer(ctx context.Context, m *agentMessage) error {
	o := &c.g.Agents
	for {
		c.mu.Lock()
		if c.closing {
			c.mu.Unlock()
			return errClosing
		}
		if len(c.waiting) < max(o.QueueFrames/2, 1) && (c.bytes == 0 || c.bytes+len(m.payload) <= o.QueueBytes/2) {
			c.add(outgoing{message: m})
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errClosing = errors.New("the connection is closed")

// shut closes the connection behind what waits to be sent.
func (c *agentConn) shut(how hostClose) {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.add(outgoing{shut: &how})
}

// flush sends what waits as far as the client takes it at once, and leaves the rest to a goroutine. It is called by who set writing.
func (c *agentConn) flush() {
	b := batches.Get().(*batch)
	for c.fill(b) {
		all, err := c.wire.try(b)
		switch {
		case err != nil:
			go c.writeFailed(err) // not here: this may be the reader
			return
		case !all:
			go c.write(b)
			return
		}
		c.sent(b)
	}
	batches.Put(b)
}

// write sends a batch and what comes behind it, waiting for the client, and ends when nothing is left.
func (c *agentConn) write(b *batch) {
	for {
		if err := c.wire.send(b, c.g.WriteTimeout); err != nil {
			c.writeFailed(err)
			return
		}
		c.sent(b)
		if !c.fill(b) {
			batches.Put(b)
			return
		}
	}
}

func (c *agentConn) writeFailed(err error) {
	if errors.Is(err, errWireOver) {
		c.drop() // who closes it is still talking
		return
	}
	c.end()
}

// fill puts what waits next into an empty batch, and says false, at the end of the writing, when that is nothing.
func (c *agentConn) fill(b *batch) bool {
	c.mu.Lock()
	n, size := 0, 0
	for n < len(c.waiting) && c.waiting[n].message != nil && (n == 0 || size+c.waiting[n].size()+maxHead <= batchSize) {
		size += c.waiting[n].size() + maxHead
		n++
	}
	if n == 0 {
		if len(c.waiting) > 0 { // the end, which is not one of writing
			how := c.waiting[0].shut
			c.mu.Unlock()
			go c.close(how.code, how.reason)
			return false
		}
		c.writing = false
		c.mu.Unlock()
		return false
	}
	b.messages = b.messages[:0]
	for _, o := range c.waiting[:n] {
		b.messages = append(b.messages, o.message)
	}
	if left := copy(c.waiting, c.waiting[n:]); left == 0 && cap(c.waiting) > keptFrames {
		c.waiting = nil
	} else {
		clear(c.waiting[left:])
		c.waiting = c.waiting[:left]
	}
	c.makeRoom()
	c.mu.Unlock()
	b.encode(c.wire.packs)
	return true
}

// sent forgets a batch that was sent.
func (c *agentConn) sent(b *batch) {
	c.mu.Lock()
	c.bytes -= b.bytes
	c.makeRoom()
	c.mu.Unlock()
}

// makeRoom wakes who waits for room, with the lock held.
func (c *agentConn) makeRoom() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// drop forgets what waits: nothing more is sent.
func (c *agentConn) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing, c.waiting = true, nil
	c.makeRoom()
}

// batch is what is written at once: small frames one behind the other, or one that is large.
type batch struct {
	messages []*agentMessage
	bytes    int // of payload
	buffer   []byte
	// small is written before large.
	small, large []byte
	// begun says that the connection is kept from others until the rest is written.
	begun bool
}

var batches = sync.Pool{New: func() any { return &batch{buffer: make([]byte, 0, batchSize)} }}

func (b *batch) encode(packs bool) {
	b.bytes, b.small, b.large = 0, b.buffer[:0], nil
	for _, m := range b.messages {
		body, packed := m.body(packs)
		b.bytes += len(m.payload)
		b.small = appendHead(b.small, m.kind, len(body), packed)
		if len(b.messages) == 1 && len(b.small)+len(body) > cap(b.small) {
			b.large = body
		} else {
			b.small = append(b.small, body...)
		}
	}
	clear(b.messages)
}

// next is what is written next.
func (b *batch) next() []byte {
	if len(b.small) > 0 {
		return b.small
	}
	return b.large
}

func (b *batch) skip(n int) {
	if len(b.small) > 0 {
		b.small = b.small[n:]
	} else {
		b.large = b.large[n:]
	}
}
