//go:build linux

package router

import (
	"bytes"
	"encoding/binary"
)

// laneRequest is a plain request. Its slices are of the buffer that it was parsed from.
type laneRequest struct {
	size   int // bytes of the head
	head   bool
	close  bool // the client wants the connection to end
	own    bool // there is a cookie of the router's
	hosts  bool // there is a Host
	target []byte
	host   []byte
	origin []byte
	fields []field
}

// field is a header of a message.
type field struct {
	name, value []byte
	rule        rule
}

// rule says where a header of a request may go.
type rule uint8

const (
	toApps     rule = iota
	toPreviews      // and to apps
	toNobody
	scoped // of an answer: a cookie, which is held to its host
)

type parsed int

const (
	parsedPart  parsed = iota // the head is not whole
	parsedPlain               // and the lane answers
	parsedOther               // net/http answers
)

// parse reads a head. It is strict where net/http is generous: what it takes for plain net/http understands in the same way.
func (q *laneRequest) parse(b []byte) parsed {
	*q = laneRequest{fields: q.fields[:0]}
	line, rest, got := cutLine(b)
	if got != parsedPlain {
		if !mayBecomePlain(b) {
			return parsedOther
		}
		return got
	}
	if !q.parseLine(line) {
		return parsedOther
	}
	for {
		line, after, got := cutLine(rest)
		if got != parsedPlain {
			return got
		}
		rest = after
		if len(line) == 0 {
			break
		}
		if !q.parseField(line) {
			return parsedOther
		}
	}
	q.size = len(b) - len(rest)
	if len(q.host) == 0 {
		return parsedOther
	}
	return parsedPlain
}

// cutLine cuts a line that ends with CR LF. One that ends with LF alone is not plain.
func cutLine(b []byte) (line, rest []byte, got parsed) {
	i := bytes.IndexByte(b, '\n')
	switch {
	case i < 0:
		return nil, nil, parsedPart
	case i == 0 || b[i-1] != '\r':
		return nil, nil, parsedOther
	}
	return b[:i-1], b[i+1:], parsedPlain
}

// mayBecomePlain reports whether the beginning of a first line is one of a plain request.
func mayBecomePlain(b []byte) bool {
	for _, method := range []string{"GET /", "HEAD /"} {
		n := min(len(b), len(method))
		if string(b[:n]) == method[:n] {
			return true
		}
	}
	return false
}

func (q *laneRequest) parseLine(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("GET "))
	if !ok {
		rest, ok = bytes.CutPrefix(line, []byte("HEAD "))
		q.head = ok
	}
	target, version, cut := bytes.Cut(rest, []byte(" "))
	if !ok || !cut || string(version) != "HTTP/1.1" || len(target) == 0 || target[0] != '/' {
		return false
	}
	path, query, _ := bytes.Cut(target, []byte("?"))
	for _, c := range path {
		if classes[c]&inPath == 0 {
			return false
		}
	}
	for _, c := range query {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	q.target = target
	return !bytes.Contains(path, []byte(".sandbox"))
}

func (q *laneRequest) parseField(line []byte) bool {
	name, value, ok := cutField(line)
	if !ok {
		return false
	}
	r := toApps
	var lower [20]byte
	if len(name) <= len(lower) {
		for i, c := range name {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			lower[i] = c
		}
		switch string(lower[:len(name)]) {
		case "host":
			if q.hosts {
				return false
			}
			q.hosts, q.host, r = true, value, toNobody
		case "connection":
			r = toNobody
			switch {
			case bytes.EqualFold(value, []byte("keep-alive")):
			case bytes.EqualFold(value, []byte("close")):
				q.close = true
			default:
				return false
			}
		case "origin":
			if len(q.origin) > 0 || len(value) == 0 {
				return false
			}
			q.origin, r = value, toPreviews
		case "cookie":
			q.own = q.own || bytes.Contains(value, []byte(ownPrefix))
		case "transfer-encoding", "content-length", "upgrade", "expect", "te", "trailer", "keep-alive", "proxy-connection", "proxy-authenticate",
			"proxy-authorization", "http2-settings":
			return false
		case "accept", "accept-language", "accept-encoding", "content-type", "user-agent", "range", "if-none-match", "if-modified-since",
			"cache-control", "pragma", "referer":
			r = toPreviews
		case "forwarded", "x-real-ip", "x-original-url":
			r = toNobody
		}
	}
	if name[0]|0x20 == 'x' && (hasFoldPrefix(name, "x-forwarded-") || bytes.EqualFold(name, []byte(identityHeader))) {
		r = toNobody
	}
	q.fields = append(q.fields, field{name, value, r})
	return true
}

// cutField splits a header line. It takes no folded lines and no space before the colon.
func cutField(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return nil, nil, false
	}
	name, value = line[:i], trimSpace(line[i+1:])
	for _, c := range name {
		if classes[c]&inToken == 0 {
			return nil, nil, false
		}
	}
	return name, value, inFieldValue(value)
}

// inFieldValue reports bytes that may all be in a header's value: no control characters but tabs.
func inFieldValue(b []byte) bool {
	const each = 0x0101010101010101
	for len(b) >= 8 {
		eight := binary.LittleEndian.Uint64(b)
		below := (eight - ' '*each) &^ eight
		del := eight ^ 0x7f*each
		if (below|(del-each)&^del)&(0x80*each) != 0 { // one of them is below a space or DEL, or follows such a one
			break
		}
		b = b[8:]
	}
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// trimSpace is bytes.Trim for spaces and tabs, of which there is mostly one.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func hasFoldPrefix(name []byte, prefix string) bool {
	return len(name) >= len(prefix) && bytes.EqualFold(name[:len(prefix)], []byte(prefix))
}

// classes says of each byte where it may be (RFC 9110 and 3986). A path has no % here: what it decodes to would have to be looked at.
const (
	inToken = 1 << iota
	inPath
)

var classes = func() (t [256]uint8) {
	for c := range 256 {
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if alnum || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0 {
			t[c] |= inToken
		}
		if alnum || bytes.IndexByte([]byte("/-._~!$&'()*+,;=:@"), byte(c)) >= 0 {
			t[c] |= inPath
		}
	}
	return t
}()
