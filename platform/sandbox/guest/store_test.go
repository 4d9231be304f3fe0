//go:build unix

package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gocloud.dev/blob"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
	"vibesdk-gcp/platform/sandbox"
)

// signedStore is a bucket that is reached by signed addresses only.
func signedStore(t *testing.T) (st *cloudrunfake.Storage, sign func(method, key string) string) {
	t.Helper()
	st, err := cloudrunfake.NewStorage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st, func(method, key string) string {
		address, err := st.SignedURL(t.Context(), key, &blob.SignedURLOptions{Method: method, Expiry: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return address
	}
}

func claimTask(sign func(method, key string) string, owner string) sandbox.GuestTask {
	return sandbox.GuestTask{Owner: owner, Store: sandbox.GuestStore{
		Claim: sign(http.MethodPut, "claim"), ClaimRead: sign(http.MethodGet, "claim"), Grave: sign(http.MethodGet, "grave"),
	}}
}

func TestOneOfManyClaims(t *testing.T) {
	t.Parallel()
	_, sign := signedStore(t)
	var won atomic.Int32
	var group sync.WaitGroup
	for i := range 20 {
		task := claimTask(sign, fmt.Sprint("execution-", i))
		group.Go(func() {
			switch err := claimStore(t.Context(), task); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrClaimed) || !strings.Contains(err.Error(), "execution-"):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d of 20 claim the phase", n)
	}
}

// TestAClaimWhoseAnswerIsLostIsRecognized loses the answer of the PUT that had its effect.
func TestAClaimWhoseAnswerIsLostIsRecognized(t *testing.T) {
	t.Parallel()
	_, sign := signedStore(t)
	task := claimTask(sign, "execution-1")
	target, err := url.Parse(task.Store.Claim)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})
	var calls atomic.Int32
	proxy.ModifyResponse = func(*http.Response) error {
		if calls.Add(1) == 1 {
			return errors.New("the answer is lost")
		}
		return nil
	}
	lossy := httptest.NewServer(proxy)
	defer lossy.Close()
	target.Host = strings.TrimPrefix(lossy.URL, "http://")
	task.Store.Claim = target.String()
	if err := claimStore(t.Context(), task); err != nil || calls.Load() < 2 {
		t.Errorf("after %d calls: %v, want the claim to be recognized as its own", calls.Load(), err)
	}
	if err := claimStore(t.Context(), task); !errors.Is(err, ErrClaimed) {
		t.Errorf("another run of the same owner: %v", err)
	}
}

func TestNothingStartsOverAGrave(t *testing.T) {
	t.Parallel()
	st, sign := signedStore(t)
	if err := st.WriteAll(t.Context(), "grave", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := claimStore(t.Context(), claimTask(sign, "late")); !errors.Is(err, ErrDeleted) {
		t.Errorf("claim over a grave: %v", err)
	}
}

// TestObjectsOverSignedAddresses writes and reads as sandboxd does, with passing trouble on the way.
func TestObjectsOverSignedAddresses(t *testing.T) {
	t.Parallel()
	_, sign := signedStore(t)
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	writes := 0
	write := func(w io.Writer) error {
		writes++
		_, err := w.Write(body)
		return err
	}
	if err := writeObject(t.Context(), sign(http.MethodPut, "a/log"), write); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		offset int64
		want   []byte
	}{{0, body}, {999_990, body[999_990:]}, {1_000_000, nil}, {2_000_000, nil}} {
		r, err := openObjectAt(t.Context(), sign(http.MethodGet, "a/log"), c.offset)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("from %d: %d bytes, %v; want %d", c.offset, len(got), err, len(c.want))
		}
		r.Close()
	}
	if _, err := openObject(t.Context(), sign(http.MethodGet, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no object: %v", err)
	}
	forbidden := sign(http.MethodGet, "a/log")
	err := writeObject(t.Context(), forbidden, write)
	if err == nil || strings.Contains(err.Error(), "Signature") || strings.Contains(err.Error(), "http://") || !strings.Contains(err.Error(), "403") {
		t.Errorf("write with an address for reading: %v, want the status and no address", err)
	}
	var troubled atomic.Int32
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if troubled.Add(1) < 3 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer busy.Close()
	writes = 0
	if err := writeObject(t.Context(), busy.URL, write); err != nil || writes != 3 {
		t.Errorf("after %d writes: %v", writes, err)
	}
}
