package router_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStreamsAsItComes writes the next part only after the client has the one before, so a proxy that holds
// parts back never ends.
func TestStreamsAsItComes(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"text/event-stream", "application/x-ndjson"} {
		next := make(chan struct{})
		w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "part %d\n", i)
				_ = http.NewResponseController(w).Flush()
				<-next
			}
		})
		lines := bufio.NewReader(w.get(w.previewHost(), "/").Body)
		for i := range 3 {
			line, err := lines.ReadString('\n')
			if err != nil || line != fmt.Sprintf("part %d\n", i) {
				t.Fatalf("part %d: %q, %v", i, line, err)
			}
			next <- struct{}{}
		}
	}
}

func TestTrailers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
	})
	res := w.get(w.previewHost(), "/")
	wantAnswer(t, res, http.StatusOK, "body")
	if res.Trailer.Get("X-Sum") != "42" || res.Trailer.Get("X-Late") != "1" {
		t.Errorf("trailers: %v", res.Trailer)
	}
}

func TestInformationalResponses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "done")
	})
	var hints []string
	r := w.request(http.MethodGet, w.previewHost(), "/", nil)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h.Get("Link")))
			return nil
		},
	}))
	res := w.do(r)
	wantAnswer(t, res, http.StatusOK, "done")
	if len(hints) != 1 || hints[0] != "103</style.css>; rel=preload" || res.Header.Get("Link") != "" {
		t.Errorf("hints %q, final Link %q", hints, res.Header.Get("Link"))
	}
}

func TestRangeAndHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x.txt", time.Unix(1, 0), strings.NewReader("0123456789"))
	})
	r := w.request(http.MethodGet, w.previewHost(), "/x.txt", nil)
	r.Header.Set("Range", "bytes=2-5")
	res := w.do(r)
	wantAnswer(t, res, http.StatusPartialContent, "2345")
	if res.Header.Get("Content-Range") != "bytes 2-5/10" {
		t.Errorf("Content-Range: %s", res.Header.Get("Content-Range"))
	}
	res = w.do(w.request(http.MethodHead, w.previewHost(), "/x.txt", nil))
	wantAnswer(t, res, http.StatusOK, "")
	if res.ContentLength != 10 {
		t.Errorf("length by HEAD: %d", res.ContentLength)
	}
}

// TestBigBodies sends 32 MiB through and back, with a known length and chunked. The app answers while it
// reads, so a proxy that takes the answer's begin for the request's end loses bytes.
func TestBigBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		if r.ContentLength >= 0 {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		if _, err := io.Copy(w, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	const size = 32 << 20
	for _, known := range []bool{true, false} {
		sent, got := sha256.New(), sha256.New()
		r := w.request(http.MethodPost, w.previewHost(), "/", io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), sent))
		if known {
			r.ContentLength = size
		}
		res := w.do(r)
		if n, err := io.Copy(got, res.Body); n != size || err != nil {
			t.Fatalf("known length %v: %d bytes back, %v", known, n, err)
		}
		if string(sent.Sum(nil)) != string(got.Sum(nil)) {
			t.Errorf("known length %v: the bytes differ", known)
		}
	}
}

// TestTalksBothWaysAtOnce sends a part of the request only after the answer to the part before.
func TestTalksBothWaysAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		for lines := bufio.NewReader(r.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush()
		}
	})
	conn, in := dialRaw(t, w.front, "POST / HTTP/1.1\r\nHost: "+w.previewHost()+"\r\nTransfer-Encoding: chunked\r\n\r\n")
	say := func(part string) {
		t.Helper()
		if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", len(part), part); err != nil {
			t.Fatal(err)
		}
	}
	say("part 0\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewReader(res.Body)
	for i := range 3 {
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("part %d\n", i) {
			t.Fatalf("part %d: %q, %v", i, line, err)
		}
		say(fmt.Sprintf("part %d\n", i+1))
	}
	if _, err := io.WriteString(conn, "0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != "part 3\n" {
		t.Errorf("the end: %q, %v", rest, err)
	}
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		close(started)
		<-r.Context().Done()
		close(ended)
	})
	r := w.request(http.MethodGet, w.previewHost(), "/", nil)
	ctx, leave := context.WithCancel(r.Context())
	w.do(r.WithContext(ctx))
	await(t, "the request", started)
	leave()
	await(t, "the upstream to hear of it", ended)
	if strings.Contains(w.log.String(), "not served") {
		t.Errorf("a client that left is no failure: %s", w.log)
	}
}

func TestUpstreamEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+framing+"\r\n\r\n4\r\nhalf\r\n")
			_ = conn.Close()
		})
		_, in := dialRaw(t, w.front, "GET / HTTP/1.1\r\nHost: "+w.previewHost()+"\r\n\r\n")
		res, err := http.ReadResponse(in, nil)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(res.Body)
			_ = res.Body.Close()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: the client takes %q for the whole answer (%v)", framing, body, err)
		}
		if !strings.Contains(w.log.String(), sandboxID) {
			t.Errorf("log does not name the sandbox: %s", w.log)
		}
	}
}

func TestContinue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	for host, target := range map[string]string{w.previewHost(): "/yes", "shop.localhost": "/yes"} {
		conn, in := dialRaw(t, w.front, "POST "+target+" HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%s: %q, %v", host, line, err)
		}
		_, _ = in.ReadString('\n')
		_, _ = io.WriteString(conn, "body")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, res, http.StatusOK, "body")
		_ = res.Body.Close()
	}
	res := rawExchange(t, w.front, "POST /no HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("refusal before the body: %d", res.StatusCode)
	}
}

// TestConnectionsAreReused counts the connections that reach the upstream.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	from := make(chan string, 50)
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { from <- r.RemoteAddr })
	seen := map[string]bool{}
	for range cap(from) {
		wantAnswer(t, w.get(w.previewHost(), "/"), http.StatusOK, "")
		seen[<-from] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d requests one after the other took %d connections", cap(from), len(seen))
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	client := w.front.Client()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				body := fmt.Sprintf("%d-%d", i, j)
				r := w.request(http.MethodPost, w.previewHost(), "/", strings.NewReader(body))
				res, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || string(got) != body {
					t.Errorf("sent %s, got %s, %v", body, got, err)
				}
			}
		})
	}
	wg.Wait()
	w.serving.Wait()
	if n := w.activity.count(); n != 2*16*50 {
		t.Errorf("%d touches, want one at the start and one at the end of each of %d requests", n, 16*50)
	}
}
