package cloudrunfake

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Storage is a bucket that answers signed addresses over HTTP as Cloud Storage does: GET with ranges, PUT, also one
// that must not replace anything (x-goog-if-generation-match: 0), and DELETE.
//
// Unlike there, that header need not be a part of what is signed.
type Storage struct {
	*blob.Bucket
	signer
	server *http.Server

	mu     sync.Mutex
	faults []*fault
}

// NewStorage makes an empty bucket, whose contents are files in dir, and opens its door on a free port of the loopback interface.
func NewStorage(dir string) (*Storage, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	st := &Storage{signer: signer{base: "http://" + listener.Addr().String() + "/bucket/", secret: make([]byte, 32)}}
	rand.Read(st.secret)
	st.Bucket = blob.NewBucket(&bucket{dir: dir, address: st.sign, objects: map[string]object{}})
	st.server = &http.Server{Handler: st, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = st.server.Serve(listener) }() // ends with Close
	return st, nil
}

// Close ends the door and the bucket.
func (st *Storage) Close() error { return errors.Join(st.server.Close(), st.Bucket.Close()) }

// Address is where other processes reach the bucket with [OpenStorage]. Whoever has it may do everything there.
func (st *Storage) Address() string { return st.base + "?key=" + hex.EncodeToString(st.secret) }

// check returns the object that a signed address names.
func (st *Storage) check(r *http.Request) (string, error) {
	key, q := strings.TrimPrefix(r.URL.Path, "/bucket/"), r.URL.Query()
	if !hmac.Equal([]byte(q.Get("X-Signature")), []byte(st.mac(key, r.Method, q.Get("X-Expires")))) {
		return "", errors.New("SignatureDoesNotMatch")
	}
	if at, err := strconv.ParseInt(q.Get("X-Expires"), 10, 64); err != nil || time.Now().Unix() > at {
		return "", errors.New("ExpiredToken")
	}
	return key, nil
}

// ServeHTTP implements http.Handler.
func (st *Storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, err := st.check(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	f := st.strikes(r.Method, key)
	if f != nil {
		f.struck.Store(true)
		if f.Kind != Before {
			st.answer(httptest.NewRecorder(), r, key) // it has its effect
		}
		f.Then()
		if f.Kind == Lost {
			panic(http.ErrAbortHandler) // breaks the connection
		}
		http.Error(w, "injected", http.StatusServiceUnavailable)
		return
	}
	st.answer(w, r, key)
}

// Inject lets a call of the door go wrong. The fault's method is `PUT build.json`, with the last part of the object's name; Lost
// breaks the connection, Slow is not supported.
func (st *Storage) Inject(f Fault) (struck func() bool) {
	if f.Then == nil {
		f.Then = func() {}
	}
	added := &fault{Fault: f}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.faults = append(st.faults, added)
	return added.struck.Load
}

// Heal forgets the faults that have not struck yet.
func (st *Storage) Heal() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.faults = nil
}

func (st *Storage) strikes(method, key string) *fault {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, f := range st.faults {
		if f.Method != method+" "+lastPart(key) {
			continue
		}
		if f.seen++; f.Nth == 0 || f.Nth == f.seen {
			return f
		}
	}
	return nil
}

func (st *Storage) answer(w http.ResponseWriter, r *http.Request, key string) {
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		err = st.get(w, r, key)
	case methodList:
		err = st.list(w, r)
	case http.MethodPut:
		err = st.put(r, key)
	case http.MethodDelete:
		err = st.Delete(r.Context(), key)
	default:
		err = errors.ErrUnsupported
	}
	switch {
	case err == nil:
	case gcerrors.Code(err) == gcerrors.NotFound:
		http.Error(w, "NoSuchKey", http.StatusNotFound)
	case gcerrors.Code(err) == gcerrors.FailedPrecondition:
		http.Error(w, "PreconditionFailed", http.StatusPreconditionFailed)
	default:
		http.Error(w, "InternalError", http.StatusInternalServerError)
	}
}

func (st *Storage) get(w http.ResponseWriter, r *http.Request, key string) error {
	object, err := st.NewReader(r.Context(), key, nil)
	if err != nil {
		return err
	}
	defer object.Close() //nolint:errcheck // only read from
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(modifiedHeader, object.ModTime().Format(time.RFC3339Nano))
	http.ServeContent(w, r, "", object.ModTime(), object)
	return nil
}

func (st *Storage) put(r *http.Request, key string) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	onlyNew := r.Header.Get("X-Goog-If-Generation-Match") == "0"
	object, err := st.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream", IfNotExist: onlyNew})
	if err != nil {
		return err
	}
	if _, err := io.Copy(object, r.Body); err != nil {
		cancel() // makes Close give up the object
		_ = object.Close()
		return err
	}
	return object.Close()
}
