//go:build linux

package router

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"

	"golang.org/x/net/http/httpguts"
)

// relayBuffer is how much of a body is written at once.
const relayBuffer = 32 << 10

// relay sends what is in out, the head, and the body behind it. Nothing is held back while the upstream is waited for.
func (x *laneExchange) relay() error {
	r := &x.c.res
	x.reusable = !r.old && !r.close
	switch {
	case r.bodyless(x.c.req.head):
		x.release()
		return x.flush()
	case r.chunked:
		return x.relayChunks()
	case r.length >= 0:
		return x.relayRest(r.length)
	}
	x.reusable = false
	return x.relayToEnd()
}

// relayRest sends what is in out and the last n bytes of the body.
func (x *laneExchange) relayRest(n int64) error {
	if err := x.relayBytes(n); err != nil {
		return err
	}
	x.release()
	return x.flush()
}

// relayBytes appends n bytes of the body to out, and writes out when it is full and before it waits.
func (x *laneExchange) relayBytes(n int64) error {
	in := x.up.in
	for n > 0 {
		if in.Buffered() == 0 {
			if err := x.flush(); err != nil {
				return err
			}
			if n >= relayBuffer {
				read, err := x.relayLarge(n)
				if n -= read; err != nil {
					return err
				}
				continue
			}
			if _, err := in.Peek(1); err != nil {
				return unexpected(err)
			}
		}
		part := int(min(int64(in.Buffered()), n))
		bytes, err := in.Peek(part)
		if err != nil {
			return unexpected(err)
		}
		x.pulse.beat()
		x.c.out = append(x.c.out, bytes...)
		_, _ = in.Discard(part) // it was there to be seen
		n -= int64(part)
		if len(x.c.out) >= relayBuffer {
			if err := x.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// relayLarge passes a part of a large body on past the small buffers.
func (x *laneExchange) relayLarge(n int64) (int64, error) {
	buf := x.rt.buffers.Get()
	defer x.rt.buffers.Put(buf)
	read, err := x.up.in.Read(buf[:min(int64(len(buf)), n)])
	if read > 0 {
		x.pulse.beat()
		if _, err := x.c.conn.Write(buf[:read]); err != nil {
			return int64(read), errClient
		}
	}
	if err != nil {
		return int64(read), unexpected(err)
	}
	return int64(read), nil
}

// relayToEnd passes a body on that ends with its connection.
func (x *laneExchange) relayToEnd() error {
	in := x.up.in
	for {
		if in.Buffered() == 0 {
			if err := x.flush(); err != nil {
				return err
			}
			if _, err := in.Peek(1); errors.Is(err, io.EOF) {
				x.c.out = append(x.c.out, "0\r\n\r\n"...)
				return x.flush()
			} else if err != nil {
				return err
			}
		}
		n := int64(in.Buffered())
		x.c.out = append(strconv.AppendInt(x.c.out, n, 16), "\r\n"...)
		if err := x.relayBytes(n); err != nil {
			return err
		}
		x.c.out = append(x.c.out, "\r\n"...)
	}
}

// maxChunkLine bounds a line with a chunk's size, and maxTrailer the headers behind the last one.
const (
	maxChunkLine = 4 << 10
	maxTrailer   = 64 << 10
)

// relayChunks passes a chunked body on, spelled anew, and the trailers behind it.
func (x *laneExchange) relayChunks() error {
	for {
		line, err := x.bodyLine()
		if err != nil {
			return err
		}
		size, ok := chunkSize(line)
		if !ok {
			return errBadResponse
		}
		if size == 0 {
			return x.relayTrailers()
		}
		x.c.out = append(strconv.AppendInt(x.c.out, size, 16), "\r\n"...)
		if err := x.relayBytes(size); err != nil {
			return err
		}
		if line, err := x.bodyLine(); err != nil || len(line) != 0 {
			return errors.Join(errBadResponse, err)
		}
		x.c.out = append(x.c.out, "\r\n"...)
	}
}

// bodyLine reads a line of a chunked body's frame. What came before it is on its way to the client by the time that it waits.
func (x *laneExchange) bodyLine() ([]byte, error) {
	in := x.up.in
	if in.Buffered() == 0 || !bytes.Contains(buffered(x), []byte("\n")) {
		if err := x.flush(); err != nil {
			return nil, err
		}
	}
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, unexpected(err)
	}
	if len(line) > maxChunkLine || len(line) < 2 || line[len(line)-2] != '\r' {
		return nil, errBadResponse
	}
	return line[:len(line)-2], nil
}

func buffered(x *laneExchange) []byte {
	b, _ := x.up.in.Peek(x.up.in.Buffered()) // it is there
	return b
}

// chunkSize reads the size of a chunk, and passes over extensions.
func chunkSize(line []byte) (int64, bool) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | int64(c)
	}
	return n, true
}

// relayTrailers passes the headers behind a chunked body on, but for those that have a meaning before it.
func (x *laneExchange) relayTrailers() error {
	x.c.out = append(x.c.out, "0\r\n"...)
	for total := 0; ; {
		line, err := x.up.in.ReadSlice('\n')
		if total += len(line); err != nil || total > maxTrailer {
			return errors.Join(errBadResponse, err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, ok := cutField(line)
		if !ok {
			return errBadResponse
		}
		if trailerAllowed(name) {
			x.c.out = appendField(x.c.out, name, value)
		}
	}
	x.c.out = append(x.c.out, "\r\n"...)
	x.release()
	return x.flush()
}

// trailerAllowed reports a header that may come behind a body: none of those that frame, route or authenticate a message (RFC 9110, 6.5.1).
func trailerAllowed(name []byte) bool {
	key := http.CanonicalHeaderKey(string(name))
	return httpguts.ValidTrailerHeader(key) && key != "Set-Cookie" && key != "Connection" && key != "Vary" && key != "Access-Control-Allow-Origin"
}

// unexpected names the end of a connection within a body.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
