package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"strconv"

	"github.com/coder/websocket"

	"vibesdk-gcp/internal/jsondoc"
)

// ndjson is the media type of an answer that is a stream: one JSON object in each line.
const ndjson = "application/x-ndjson"

// versionHeader is the version of the session that an answer of one value comes behind.
const versionHeader = "Session-Version"

// hostLine is a line of a stream, or an answer that is one value.
type hostLine struct {
	// final and chunk say that a result is there; nil is undefined.
	final, chunk bool
	result       []byte
	// failed is the text of an error, which ends the answer as well.
	failed *string
	// version is what the connection must have been shown before the rest of the line; 0 is any.
	version int64
	// readonly, data: what becomes of the connection.
	readonly *bool
	data     []byte
	// text and binary are messages to the connection, shut its end.
	text   *string
	binary []byte
	shut   *hostClose
}

// hostClose is how a connection is closed.
type hostClose struct {
	code   websocket.StatusCode
	reason string
}

// ends reports whether nothing may follow.
func (l hostLine) ends() bool { return l.final || l.failed != nil }

// readHostAnswer gives the parts of an answer to take until it ends. Errors are hostErrors, or those of the connection and of take.
func readHostAnswer(resp *http.Response, take func(hostLine) error) error {
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxHostError))
		if err != nil {
			body = nil // the status says enough
		}
		return hostRefusal(resp.StatusCode, body)
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	if kind == ndjson {
		return readHostLines(resp.Body, take)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHostAnswer+1))
	if err != nil {
		return err
	}
	line := hostLine{final: true, result: bytes.TrimSpace(body)}
	switch {
	case len(body) > maxHostAnswer:
		return fmt.Errorf("%w: more than %d bytes", errHostOdd, maxHostAnswer)
	case len(line.result) == 0:
		line.result = nil
	case kind != "application/json":
		return fmt.Errorf("%w: media type %.60q", errHostOdd, kind)
	case jsondoc.Check(body) != nil:
		return fmt.Errorf("%w: it is no JSON", errHostOdd)
	}
	if v := resp.Header.Get(versionHeader); v != "" {
		if line.version, err = strconv.ParseInt(v, 10, 64); err != nil || line.version < 0 {
			return fmt.Errorf("%w: %s is no version", errHostOdd, versionHeader)
		}
	}
	return take(line)
}

func readHostLines(body io.Reader, take func(hostLine) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxHostAnswer)
	for lines.Scan() {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue // a sign of life
		}
		line, err := readHostLine(bytes.Clone(text))
		if err != nil {
			return err
		}
		if err := take(line); err != nil || line.ends() {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%w: a line is longer than %d bytes", errHostOdd, maxHostAnswer)
	} else if err != nil {
		return err
	}
	return errHostLost
}

// readHostLine reads a line. Members that are not known are passed over.
func readHostLine(text []byte) (hostLine, error) {
	var line hostLine
	odd := func(member, want string) (hostLine, error) {
		return hostLine{}, fmt.Errorf("%w: %s must be %s", errHostOdd, member, want)
	}
	members := map[string][]byte{}
	if jsondoc.Check(text) != nil || text[0] != '{' || jsondoc.Object(text, func(key string, value []byte) error {
		members[key] = value
		return nil
	}) != nil {
		return odd("a line", "a JSON object")
	}
	if done, ok := members["done"]; ok {
		switch string(done) {
		case "true":
			line.final = true
		case "false":
			line.chunk = true
		default:
			return odd("done", "true or false")
		}
		line.result = members["result"]
	}
	if v, ok := members["error"]; ok {
		failed, isText := textOf(v)
		if !isText || line.final || line.chunk {
			return odd("error", "a string, and without done")
		}
		failed = clientText(failed)
		line.failed = &failed
	}
	if v, ok := members["version"]; ok {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil || n < 0 {
			return odd("version", "a version of the session")
		}
		line.version = n
	}
	if v, ok := members["readonly"]; ok {
		readonly := string(v) == "true"
		if !readonly && string(v) != "false" {
			return odd("readonly", "true or false")
		}
		line.readonly = &readonly
	}
	if line.data = members["data"]; len(line.data) > maxConnectionData {
		return odd("data", fmt.Sprintf("at most %d bytes", maxConnectionData))
	}
	if v, ok := members["text"]; ok {
		s, isText := textOf(v)
		if !isText {
			return odd("text", "a string")
		}
		line.text = &s
	}
	if v, ok := members["binary"]; ok {
		s, isText := textOf(v)
		b, err := base64.StdEncoding.DecodeString(s)
		if !isText || err != nil {
			return odd("binary", "bytes in base64")
		}
		line.binary = append([]byte{}, b...)
	}
	if v, ok := members["close"]; ok {
		shut, err := readHostClose(v)
		if err != nil {
			return odd("close", "like {\"code\":4001,\"reason\":\"…\"}")
		}
		line.shut = shut
	}
	return line, nil
}

var errNoClose = errors.New("no close")

// readHostClose reads how to close a connection. A code that nobody may send is nil, as the runtime of agents ignores it.
func readHostClose(text []byte) (*hostClose, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, errNoClose
	}
	members := map[string][]byte{}
	if err := jsondoc.Object(text, func(key string, value []byte) error {
		members[key] = value
		return nil
	}); err != nil {
		return nil, err
	}
	code, err := strconv.Atoi(string(members["code"]))
	if err != nil {
		return nil, err
	}
	c := &hostClose{code: websocket.StatusCode(code)}
	if v, ok := members["reason"]; ok {
		if c.reason, ok = textOf(v); !ok {
			return nil, errNoClose
		}
	}
	c.reason = closeReason(c.reason)
	if !sendable(c.code) {
		return nil, nil //nolint:nilnil // see above
	}
	return c, nil
}

// sendable reports whether a close frame may carry a code (RFC 6455, 7.4).
func sendable(code websocket.StatusCode) bool {
	switch code {
	case 1004, websocket.StatusNoStatusRcvd, websocket.StatusAbnormalClosure, websocket.StatusTLSHandshake:
		return false
	default:
		return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
	}
}

// closeReason is as much of a text as fits into a close frame.
func closeReason(text string) string {
	const most = 123
	if len(text) > most {
		text = text[:most]
	}
	return string(bytes.ToValidUTF8([]byte(text), nil))
}

// onSent calls sent when the request that ctx is for was written.
func onSent(ctx context.Context, sent func()) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent() }})
}
