//go:build linux

package router

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// maxUpstreamHeader bounds the head of an answer.
const maxUpstreamHeader = 256 << 10

var (
	errBufferFull  = bufio.ErrBufferFull
	errBadResponse = errors.New("the upstream's answer is malformed")
)

// laneResponse is the head of an answer. Its slices are of the head.
type laneResponse struct {
	size    int // bytes of the head
	status  int
	old     bool // HTTP/1.0
	close   bool
	chunked bool
	length  int64 // -1: not given
	date    bool
	kind    []byte // Content-Type
	fields  []field
	hops    [][]byte // names that Connection gives
}

// parse reads a head, lines of which may end with LF alone.
func (r *laneResponse) parse(head []byte) error {
	*r = laneResponse{fields: r.fields[:0], hops: r.hops[:0], length: -1}
	line, rest := cutAnyLine(head)
	switch {
	case bytes.HasPrefix(line, []byte("HTTP/1.1 ")):
	case bytes.HasPrefix(line, []byte("HTTP/1.0 ")):
		r.old = true
	default:
		return errBadResponse
	}
	line = line[len("HTTP/1.1 "):]
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' {
		return errBadResponse
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return errBadResponse
		}
		r.status = 10*r.status + int(c-'0')
	}
	if r.status < 100 {
		return errBadResponse
	}
	for line, rest = cutAnyLine(rest); len(line) > 0; line, rest = cutAnyLine(rest) {
		name, value, ok := cutField(line)
		if !ok || !r.take(name, value) {
			return errBadResponse
		}
	}
	r.size = len(head) - len(rest)
	if r.chunked && r.old {
		return errBadResponse // where its body ends would be a guess
	}
	if r.chunked {
		r.length = -1 // RFC 9112, 6.3
	}
	return nil
}

func cutAnyLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

// take looks at a header, and keeps it if it is for the client.
func (r *laneResponse) take(name, value []byte) bool {
	to := toApps
	var lower [32]byte
	if len(name) <= len(lower) {
		for i, c := range name {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			lower[i] = c
		}
		switch string(lower[:len(name)]) {
		case "content-length":
			n, err := strconv.ParseUint(string(value), 10, 63)
			if err != nil || r.length >= 0 && r.length != int64(n) {
				return false
			}
			r.length = int64(n)
			return true
		case "transfer-encoding":
			if r.chunked || !bytes.EqualFold(value, []byte("chunked")) {
				return false
			}
			r.chunked = true
			return true
		case "connection":
			for token := range bytes.SplitSeq(value, []byte(",")) {
				switch token = trimSpace(token); {
				case bytes.EqualFold(token, []byte("close")):
					r.close = true
				case len(token) > 0 && !bytes.EqualFold(token, []byte("keep-alive")):
					r.hops = append(r.hops, token)
				}
			}
			return true
		case "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "upgrade":
			return true
		case "x-preview-type", "access-control-expose-headers":
			return true // ours to say
		case "content-type":
			r.kind = value
		case "date":
			r.date = true
		case "set-cookie":
			to = scoped
		}
	}
	r.fields = append(r.fields, field{name, value, to})
	return true
}

// bodyless reports an answer that has no body whatever its head says.
func (r *laneResponse) bodyless(head bool) bool {
	return head || r.status < 200 || r.status == http.StatusNoContent || r.status == http.StatusNotModified
}

// appendHead writes the head of the answer as the client gets it.
func (x *laneExchange) appendHead(b []byte) []byte {
	r := &x.c.res
	b = appendStatus(b, r.status)
	b = x.appendFields(b)
	kind := "dispatcher"
	if x.route.kind == previewSite {
		kind = "sandbox"
		if r.status == http.StatusInternalServerError {
			kind = "sandbox-error"
		}
	}
	b = x.appendMarks(b, kind)
	if !r.date {
		b = append(b, "Date: "...)
		b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
		b = append(b, "\r\n"...)
	}
	switch {
	case r.length >= 0 && r.status != http.StatusNoContent:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.length, 10)
		b = append(b, "\r\n"...)
	case !r.bodyless(x.c.req.head):
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if x.c.req.close || x.c.lane.draining.Load() {
		x.c.req.close = true
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

// appendInformation writes a head that comes before the answer, such as early hints.
func (x *laneExchange) appendInformation(b []byte) []byte {
	return append(x.appendFields(appendStatus(b, x.c.res.status)), "\r\n"...)
}

func appendStatus(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	b = append(b, text...)
	return append(b, "\r\n"...)
}

// appendFields writes the headers that cross.
func (x *laneExchange) appendFields(b []byte) []byte {
	r := &x.c.res
	allowed := len(x.c.req.origin) > 0 && x.rt.originAllowed(string(x.c.req.origin))
fields:
	for _, f := range r.fields {
		for _, hop := range r.hops {
			if bytes.EqualFold(f.name, hop) {
				continue fields
			}
		}
		switch {
		case f.rule == scoped:
			line, ok := scopedCookie(string(f.value))
			if !ok {
				continue
			}
			f.value = []byte(line)
		case allowed && bytes.EqualFold(f.name, []byte("Access-Control-Allow-Origin")):
			continue // ours to say, then
		}
		b = appendField(b, f.name, f.value)
	}
	return b
}

// isEventStreamType is isEventStream for a Content-Type.
func isEventStreamType(kind []byte) bool { return hasFoldPrefix(kind, "text/event-stream") }
