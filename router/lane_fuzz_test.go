//go:build linux

package router

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzLaneRequest holds the lane's reading of a request against net/http's: what the lane takes for plain, the server would understand in
// the same way, to the last byte.
func FuzzLaneRequest(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n",
		"GET /a/b.js?x=%zz&y HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nX-Y:  a b\t\r\nAccept: b\r\nConnection: keep-alive\r\n\r\nGET /next",
		"HEAD /-._~!$&'()*+,;=:@ HTTP/1.1\r\nhOsT: h:80\r\nConnection: Close\r\nCookie: a=b\r\n\r\n",
		"GET //double/../x HTTP/1.1\r\nHost: h\r\nOrigin:\r\n\r\n", "GET /%2e HTTP/1.1\r\nHost: h\r\n\r\n", "GET /.sandbox HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\nHost: h\n\n", "GET / HTTP/1.1\r\nHost: h\r\n X: folded\r\n\r\n", "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX: \xff\x80\r\n\r\n", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?a#b HTTP/1.1\r\nHost: h\r\n\r\n", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX\x00: x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nOrigin: a\r\nOrigin: b\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var q laneRequest
		if q.parse(b) != parsedPlain {
			return
		}
		in := bufio.NewReaderSize(bytes.NewReader(b), len(b)+16)
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if rest, _ := io.ReadAll(in); len(b)-len(rest) != q.size {
			t.Fatalf("the lane takes %d bytes, net/http %d", q.size, len(b)-len(rest))
		}
		if method := map[bool]string{false: "GET", true: "HEAD"}[q.head]; r.Method != method || r.RequestURI != string(q.target) ||
			r.Host != string(q.host) || r.ContentLength != 0 || len(r.TransferEncoding) != 0 || r.Body != http.NoBody || r.Close != q.close || isWebSocket(r) {
			t.Fatalf("net/http reads %+v", r)
		}
		if isControl(r.URL.Path) {
			t.Fatalf("%s is the sandbox's own", r.URL.Path)
		}
		if r.URL.RequestURI() != string(q.target) {
			t.Fatalf("net/http would send %s on, the lane %s", r.URL.RequestURI(), q.target)
		}
		got := http.Header{}
		for _, f := range q.fields {
			if name := http.CanonicalHeaderKey(string(f.name)); name != "Host" {
				got[name] = append(got[name], string(f.value))
			}
		}
		if diff := cmp.Diff(r.Header, got); diff != "" {
			t.Fatalf("headers (-net/http +lane):\n%s", diff)
		}
		// Where headers may go is what the other lane decides.
		for _, f := range q.fields {
			name := http.CanonicalHeaderKey(string(f.name))
			if want := allowed[name]; (f.rule == toPreviews) != want {
				t.Fatalf("%s crosses to previews: %v, want %v", name, f.rule == toPreviews, want)
			}
		}
		// Nothing shorter is whole.
		for n := range q.size {
			if q.parse(b[:n]) == parsedPlain {
				t.Fatalf("%d of %d bytes are plain", n, len(b))
			}
		}
	})
}

// FuzzLaneResponse holds the lane's reading of an answer's head against net/http's: what the lane passes on, that would, with the same end.
func FuzzLaneResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\n", "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.0 404 Not Found\nX: y\n\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n\r\n", "HTTP/1.1 99 No\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		head, _, _ = bytes.Cut(head, []byte("\r\n\r\n"))
		head = append(slices.Clone(head), "\r\n\r\n"...)
		if bytes.Contains(head[:len(head)-4], []byte("\n\n")) || bytes.Contains(head[:len(head)-4], []byte("\n\r\n")) {
			return // a head ends at its first empty line
		}
		var r laneResponse
		if r.parse(head) != nil || r.status == http.StatusSwitchingProtocols {
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		_ = res.Body.Close()
		if res.StatusCode != r.status || res.ProtoAtLeast(1, 1) == r.old {
			t.Fatalf("net/http reads %s %d", res.Proto, res.StatusCode)
		}
		if !r.bodyless(false) && (res.ContentLength != r.length || (len(res.TransferEncoding) == 1) != r.chunked) {
			t.Fatalf("length %d, chunked %v; net/http reads %d, %v", r.length, r.chunked, res.ContentLength, res.TransferEncoding)
		}
		if res.Close && !r.close && !r.old && (r.length >= 0 || r.chunked) {
			t.Fatal("the lane would keep the connection")
		}
	})
}

func TestChunkSize(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int64{"0": 0, "1": 1, "aF": 175, "0010": 16, "5;ext=1": 5, "5 ;x": 5, "fffffffffffffff": 1<<60 - 1} {
		if n, ok := chunkSize([]byte(line)); !ok || n != want {
			t.Errorf("chunkSize(%q) = %d, %v", line, n, ok)
		}
	}
	for _, line := range []string{"", ";", "-1", "+1", "0x1", "1g", " 1", "1 1", "ffffffffffffffff", "1\r"} {
		if n, ok := chunkSize([]byte(line)); ok {
			t.Errorf("chunkSize(%q) = %d", line, n)
		}
	}
}
