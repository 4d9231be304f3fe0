package guest

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// ring keeps the end of a byte stream and lets readers follow it. It is safe for concurrent use.
type ring struct {
	mu  sync.Mutex
	cap int
	buf []byte
	// end is the offset in the stream just behind buf.
	end    int64
	closed bool
	// grown is closed and replaced when the stream grows or ends.
	grown chan struct{}
}

func newRing(capacity int) *ring { return &ring{cap: capacity, grown: make(chan struct{})} }

// Write appends p. It keeps up to twice the capacity, so that most writes move nothing.
func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = append(r.buf, p...)
	r.end += int64(len(p))
	if over := len(r.buf) - r.cap; over > r.cap {
		r.buf = append(r.buf[:0], r.buf[over:]...)
	}
	r.wake()
	return len(p), nil
}

// Close ends the stream: readers get io.EOF when they have read all.
func (r *ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.wake()
	}
	return nil
}

func (r *ring) wake() {
	close(r.grown)
	r.grown = make(chan struct{})
}

// tail returns at most the last n bytes, beginning at a line.
func (r *ring) tail(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.buf) <= n {
		return string(r.buf)
	}
	from := len(r.buf) - n
	if i := bytes.IndexByte(r.buf[from-1:len(r.buf)-1], '\n'); i >= 0 {
		from += i
	}
	return string(r.buf[from:])
}

// reader reads from the offset on, or from the oldest byte kept when that is later. With follow, reading
// waits for more until the stream is closed or ctx ends; without, it ends at the present end.
func (r *ring) reader(ctx context.Context, offset int64, follow bool) *ringReader {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := min(max(offset, r.start()), r.end)
	return &ringReader{ring: r, ctx: ctx, at: from, stop: r.end, follow: follow}
}

func (r *ring) start() int64 { return r.end - int64(len(r.buf)) }

type ringReader struct {
	ring   *ring
	ctx    context.Context
	at     int64
	stop   int64
	follow bool
}

func (r *ringReader) Read(p []byte) (int, error) {
	for {
		r.ring.mu.Lock()
		r.at = max(r.at, r.ring.start()) // a reader that is too slow loses the middle, not the end
		limit := r.ring.end
		if !r.follow {
			limit = min(limit, r.stop)
		}
		if r.at < limit {
			from := r.at - r.ring.start()
			n := copy(p, r.ring.buf[from:from+limit-r.at])
			r.at += int64(n)
			r.ring.mu.Unlock()
			return n, nil
		}
		done, grown := r.ring.closed || !r.follow, r.ring.grown
		r.ring.mu.Unlock()
		if done {
			return 0, io.EOF
		}
		select {
		case <-grown:
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
	}
}
