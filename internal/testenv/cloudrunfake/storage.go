package cloudrunfake

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"
)

// Storage is a bucket in a folder that answers signed addresses over HTTP as Cloud Storage does: GET with ranges, PUT, also one
// that must not replace anything (x-goog-if-generation-match: 0), and DELETE.
//
// Unlike there, that header need not be a part of what is signed.
type Storage struct {
	*blob.Bucket
	dir    string
	server *http.Server
	base   string
	secret []byte
}

// NewStorage opens the bucket in dir and its door on a free port of the loopback interface.
func NewStorage(dir string) (*Storage, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	st := &Storage{dir: dir, base: "http://" + listener.Addr().String() + "/bucket/", secret: make([]byte, 32)}
	rand.Read(st.secret)
	st.Bucket, err = fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, NoTempDir: true, Metadata: fileblob.MetadataDontWrite, URLSigner: signer{st},
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	st.server = &http.Server{Handler: st, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = st.server.Serve(listener) }() // ends with Close
	return st, nil
}

// Close ends the door and the bucket.
func (st *Storage) Close() error { return errors.Join(st.server.Close(), st.Bucket.Close()) }

// signer makes the addresses.
type signer struct{ st *Storage }

// URLFromKey implements fileblob.URLSigner.
func (s signer) URLFromKey(_ context.Context, key string, opts *driver.SignedURLOptions) (*url.URL, error) {
	u, err := url.Parse(s.st.base + (&url.URL{Path: key}).EscapedPath())
	if err != nil {
		return nil, err
	}
	expires := strconv.FormatInt(time.Now().Add(opts.Expiry).Unix(), 10)
	u.RawQuery = url.Values{"X-Expires": {expires}, "X-Method": {opts.Method}, "X-Signature": {s.mac(key, opts.Method, expires)}}.Encode()
	return u, nil
}

// KeyFromURL implements fileblob.URLSigner.
func (s signer) KeyFromURL(_ context.Context, u *url.URL) (string, error) {
	key, q := strings.TrimPrefix(u.Path, "/bucket/"), u.Query()
	if !hmac.Equal([]byte(q.Get("X-Signature")), []byte(s.mac(key, q.Get("X-Method"), q.Get("X-Expires")))) {
		return "", errors.New("SignatureDoesNotMatch")
	}
	if at, err := strconv.ParseInt(q.Get("X-Expires"), 10, 64); err != nil || time.Now().Unix() > at {
		return "", errors.New("ExpiredToken")
	}
	return key, nil
}

func (s signer) mac(key, method, expires string) string {
	h := hmac.New(sha256.New, s.st.secret)
	fmt.Fprintf(h, "%q %q %q", method, key, expires)
	return hex.EncodeToString(h.Sum(nil))
}

// ServeHTTP implements http.Handler.
func (st *Storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, err := signer{st}.KeyFromURL(r.Context(), r.URL)
	if err != nil || r.URL.Query().Get("X-Method") != r.Method {
		http.Error(w, "AccessDenied", http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodGet:
		err = st.get(w, r, key)
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
	case errors.Is(err, errExists):
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
	defer object.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", object.ModTime(), object)
	return nil
}

var errExists = errors.New("the object exists")

func (st *Storage) put(r *http.Request, key string) error {
	if r.Header.Get("X-Goog-If-Generation-Match") == "0" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		created, err := st.Create(r.Context(), key, body)
		if err == nil && !created {
			return errExists
		}
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	object, err := st.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream"})
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

// Create stores an object unless there is one, and says whether it did. It is atomic, as on Cloud Storage; the bucket's own
// IfNotExist looks first and writes then.
func (st *Storage) Create(ctx context.Context, key string, body []byte) (bool, error) {
	part := key + ".part-" + strings.ToLower(rand.Text())
	if err := st.WriteAll(ctx, part, body, &blob.WriterOptions{ContentType: "application/octet-stream"}); err != nil {
		return false, err
	}
	err := os.Link(filepath.Join(st.dir, filepath.FromSlash(part)), filepath.Join(st.dir, filepath.FromSlash(key)))
	removed := st.Delete(ctx, part)
	if errors.Is(err, fs.ErrExist) {
		return false, removed
	}
	return err == nil, errors.Join(err, removed)
}
