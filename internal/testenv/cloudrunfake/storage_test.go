package cloudrunfake_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
)

func newStorage(t *testing.T) *cloudrunfake.Storage {
	t.Helper()
	st, err := cloudrunfake.NewStorage(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	return st
}

// call makes one request on a signed address.
func call(t *testing.T, method, address, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	must(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(got)
}

// TestSignedAddresses is the table of what an address allows.
func TestSignedAddresses(t *testing.T) {
	t.Parallel()
	st := newStorage(t)
	sign := func(method, key string, ttl time.Duration) string {
		address, err := st.SignedURL(t.Context(), key, &blob.SignedURLOptions{Method: method, Expiry: ttl})
		must(t, err)
		return address
	}
	put, read := sign("PUT", "a/b c", time.Minute), sign("GET", "a/b c", time.Minute)
	if code, _ := call(t, "GET", read, ""); code != 404 {
		t.Errorf("nothing: %d", code)
	}
	if code, _ := call(t, "PUT", put, "0123456789"); code != 200 {
		t.Errorf("put: %d", code)
	}
	for _, c := range []struct {
		what, method, address string
		headers               []string
		code                  int
		body                  string
	}{
		{"read", "GET", read, nil, 200, "0123456789"},
		{"range", "GET", read, []string{"Range", "bytes=7-"}, 206, "789"},
		{"beyond the end", "GET", read, []string{"Range", "bytes=10-"}, 416, "invalid range: failed to overlap\n"},
		{"only new", "PUT", put, []string{"X-Goog-If-Generation-Match", "0"}, 412, "PreconditionFailed\n"},
		{"another method", "PUT", read, nil, 403, "SignatureDoesNotMatch\n"},
		{"another object", "GET", strings.Replace(read, "a/b", "a/x", 1), nil, 403, "SignatureDoesNotMatch\n"},
		{"a longer life", "GET", strings.Replace(read, "X-Expires=", "X-Expires=9", 1), nil, 403, "SignatureDoesNotMatch\n"},
		{"no signature", "GET", strings.SplitN(read, "?", 2)[0], nil, 403, "SignatureDoesNotMatch\n"},
	} {
		if code, body := call(t, c.method, c.address, "", c.headers...); code != c.code || body != c.body {
			t.Errorf("%s: %d %q, want %d %q", c.what, code, body, c.code, c.body)
		}
	}
	if code, _ := call(t, "DELETE", sign("DELETE", "a/b c", time.Minute), ""); code != 200 {
		t.Errorf("delete: %d", code)
	}
	if exists, err := st.Exists(t.Context(), "a/b c"); err != nil || exists {
		t.Errorf("it exists: %v, %v", exists, err)
	}
}

// TestOnlyOneCreates is what fileblob does not promise.
func TestOnlyOneCreates(t *testing.T) {
	t.Parallel()
	st := newStorage(t)
	address, err := st.SignedURL(t.Context(), "claim", &blob.SignedURLOptions{Method: "PUT"})
	must(t, err)
	var made atomic.Int32
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			if i%2 == 0 {
				if code, _ := call(t, "PUT", address, "x", "X-Goog-If-Generation-Match", "0"); code == 200 {
					made.Add(1)
				}
				return
			}
			switch err := st.WriteAll(t.Context(), "claim", []byte("y"), &blob.WriterOptions{IfNotExist: true, ContentType: "text/plain"}); gcerrors.Code(err) {
			case gcerrors.OK:
				made.Add(1)
			case gcerrors.FailedPrecondition:
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("%d of 40 made it", n)
	}
}

// TestTheBucket reads, lists in pages, replaces under a reader, and gives up what was cancelled, in its own process and from another.
func TestTheBucket(t *testing.T) {
	t.Parallel()
	t.Run("own", func(t *testing.T) {
		t.Parallel()
		testBucket(t, newStorage(t).Bucket)
	})
	t.Run("shared", func(t *testing.T) {
		t.Parallel()
		own := newStorage(t)
		shared, err := cloudrunfake.OpenStorage(own.Address())
		must(t, err)
		t.Cleanup(func() { must(t, shared.Close()) })
		testBucket(t, shared)
		address, err := shared.SignedURL(t.Context(), "c", &blob.SignedURLOptions{Method: "GET"})
		must(t, err)
		if code, body := call(t, "GET", address, ""); code != 200 || body != "new" {
			t.Errorf("an address that the other process signed: %d %q", code, body)
		}
		if body, err := own.ReadAll(t.Context(), "c"); err != nil || string(body) != "new" {
			t.Errorf("what the other process wrote is %q, %v", body, err)
		}
	})
	for _, address := range []string{"", "http://127.0.0.1:1/bucket/", "http://127.0.0.1:1/bucket/?key=x", "ftp://h/?key=00"} {
		if _, err := cloudrunfake.OpenStorage(address); err == nil {
			t.Errorf("%q is taken for an address", address)
		}
	}
	forged := newStorage(t)
	base, _, _ := strings.Cut(forged.Address(), "?")
	stranger, err := cloudrunfake.OpenStorage(base + "?key=" + strings.Repeat("00", 32))
	must(t, err)
	t.Cleanup(func() { must(t, stranger.Close()) })
	if err := stranger.WriteAll(t.Context(), "x", nil, nil); err == nil {
		t.Error("whoever has another key may write")
	}
}

func testBucket(t *testing.T, st *blob.Bucket) {
	t.Helper()
	ctx := t.Context()
	for _, key := range []string{"b/2", "a/1", "b/1", "c"} {
		must(t, st.WriteAll(ctx, key, []byte(key), nil))
	}
	var keys []string
	for token := blob.FirstPageToken; ; {
		page, next, err := st.ListPage(ctx, token, 1, &blob.ListOptions{Prefix: "b/"})
		must(t, err)
		for _, o := range page {
			keys = append(keys, o.Key)
		}
		if token = next; len(token) == 0 {
			break
		}
	}
	if strings.Join(keys, " ") != "b/1 b/2" {
		t.Errorf("listed %q", keys)
	}
	for part, want := range map[[2]int64]string{{0, -1}: "b/2", {1, -1}: "/2", {1, 1}: "/", {3, -1}: "", {9, 1}: ""} {
		r, err := st.NewRangeReader(ctx, "b/2", part[0], part[1], nil)
		must(t, err)
		if body, err := io.ReadAll(r); err != nil || string(body) != want || r.Size() != 3 || time.Since(r.ModTime()) > time.Minute {
			t.Errorf("%v of an object is %q, %v", part, body, err)
		}
		must(t, r.Close())
	}
	if err := st.WriteAll(ctx, "c", nil, &blob.WriterOptions{IfNotExist: true}); gcerrors.Code(err) != gcerrors.FailedPrecondition {
		t.Errorf("made again: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	w, err := st.NewWriter(cancelled, "given up", nil)
	must(t, err)
	cancel()
	if err := w.Close(); err == nil {
		t.Error("what was cancelled is written")
	}
	if exists, err := st.Exists(ctx, "given up"); err != nil || exists {
		t.Errorf("what was cancelled exists: %v, %v", exists, err)
	}
	old, err := st.NewReader(ctx, "c", nil)
	must(t, err)
	must(t, st.WriteAll(ctx, "c", []byte("new"), nil))
	if body, err := io.ReadAll(old); err != nil || !bytes.Equal(body, []byte("c")) {
		t.Errorf("a reader of what was replaced gets %q, %v", body, err)
	}
	must(t, old.Close())
	if _, err := st.ReadAll(ctx, "nothing"); gcerrors.Code(err) != gcerrors.NotFound {
		t.Errorf("no object: %v", err)
	}
	if err := st.Delete(ctx, "nothing"); gcerrors.Code(err) != gcerrors.NotFound {
		t.Errorf("delete of no object: %v", err)
	}
}

func TestStorageFaults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[cloudrunfake.FaultKind]struct {
		code   int
		effect bool
	}{cloudrunfake.Before: {503, false}, cloudrunfake.After: {503, true}, cloudrunfake.Lost: {0, true}} {
		st := newStorage(t)
		address, err := st.SignedURL(t.Context(), "x/status", &blob.SignedURLOptions{Method: "PUT"})
		must(t, err)
		struck := st.Inject(cloudrunfake.Fault{Method: "PUT status", Nth: 1, Kind: kind})
		code, _ := call(t, "PUT", address, "x")
		exists, err := st.Exists(t.Context(), "x/status")
		must(t, err)
		if code != want.code || exists != want.effect || !struck() {
			t.Errorf("%v: status %d, effect %v", kind, code, exists)
		}
		if code, _ := call(t, "PUT", address, "x"); code != 200 {
			t.Errorf("%v: the second call: %d", kind, code)
		}
		st.Inject(cloudrunfake.Fault{Method: "PUT status", Kind: kind})
		st.Heal()
		if code, _ := call(t, "PUT", address, "x"); code != 200 {
			t.Errorf("%v: healed: %d", kind, code)
		}
	}
}
