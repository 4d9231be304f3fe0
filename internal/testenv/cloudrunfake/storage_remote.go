package cloudrunfake

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
)

const (
	// methodList lists the bucket at its root, for the programs that share it.
	methodList = "LIST"
	// modifiedHeader has the time of an object to the nanosecond, which Last-Modified has to the second.
	modifiedHeader = "X-Modified"
	// remoteTTL is how long a call of a program that shares the bucket may be on its way.
	remoteTTL = time.Minute
)

// OpenStorage opens the bucket of a [Storage] that another process has, by its address.
func OpenStorage(address string) (*blob.Bucket, error) {
	base, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("address of a bucket: its query is malformed") // the cause may quote the key
	}
	secret, err := hex.DecodeString(values.Get("key"))
	if err != nil || len(secret) == 0 || !strings.HasPrefix(base, "http://") {
		return nil, errors.New("address of a bucket: want http://host:port/bucket/?key=…")
	}
	r := &remote{signer: signer{base, secret}, client: &http.Client{}}
	r.bucket = bucket{address: r.sign}
	return blob.NewBucket(r), nil
}

// remote is the bucket of another process, through its door. What needs no object is as in the process itself.
type remote struct {
	bucket
	signer
	client *http.Client
}

// Close implements driver.Bucket.
func (r *remote) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

// call makes one call and returns an answer of success. The caller closes its body.
func (r *remote) call(ctx context.Context, method, key string, query url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	address := r.sign(key, &driver.SignedURLOptions{Method: method, Expiry: remoteTTL})
	if len(query) > 0 {
		address += "&" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, errors.Unwrap(err) // the address is signed, and nobody's business
	}
	if res.StatusCode < http.StatusMultipleChoices {
		return res, nil
	}
	res.Body.Close()
	switch res.StatusCode {
	case http.StatusNotFound:
		return nil, errNoObject
	case http.StatusPreconditionFailed:
		return nil, errExists
	default:
		return nil, fmt.Errorf("the bucket answers %s", res.Status)
	}
}

// Attributes implements driver.Bucket.
func (r *remote) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	res, err := r.call(ctx, http.MethodHead, key, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	at, err := time.Parse(time.RFC3339Nano, res.Header.Get(modifiedHeader))
	return &driver.Attributes{ContentType: res.Header.Get("Content-Type"), CreateTime: at, ModTime: at, Size: res.ContentLength}, err
}

// listed is an object of a list.
type listed struct {
	Key     string
	ModTime time.Time
	Size    int64
}

// ListPaged implements driver.Bucket.
func (r *remote) ListPaged(ctx context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	if opts.Delimiter != "" {
		return nil, errors.ErrUnsupported
	}
	res, err := r.call(ctx, methodList, "", url.Values{"prefix": {opts.Prefix}}, nil, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var all []listed
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		return nil, err
	}
	var page driver.ListPage
	for _, o := range all {
		if o.Key <= string(opts.PageToken) {
			continue
		}
		if n := len(page.Objects); n == opts.PageSize && n > 0 {
			page.NextPageToken = []byte(page.Objects[n-1].Key)
			break
		}
		page.Objects = append(page.Objects, &driver.ListObject{Key: o.Key, ModTime: o.ModTime, Size: o.Size})
	}
	return &page, nil
}

// list answers a list.
func (st *Storage) list(w http.ResponseWriter, r *http.Request) error {
	all := []listed{}
	for objects := st.List(&blob.ListOptions{Prefix: r.URL.Query().Get("prefix")}); ; {
		o, err := objects.Next(r.Context())
		if errors.Is(err, io.EOF) {
			return json.NewEncoder(w).Encode(all)
		}
		if err != nil {
			return err
		}
		all = append(all, listed{o.Key, o.ModTime, o.Size})
	}
}

// Delete implements driver.Bucket.
func (r *remote) Delete(ctx context.Context, key string, _ *driver.DeleteOptions) error {
	res, err := r.call(ctx, http.MethodDelete, key, nil, nil, nil)
	if err == nil {
		res.Body.Close()
	}
	return err
}

// NewRangeReader implements driver.Bucket.
func (r *remote) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	attributes, err := r.Attributes(ctx, key)
	if err != nil {
		return nil, err
	}
	found := object{size: attributes.Size, kind: attributes.ContentType, at: attributes.ModTime}
	end := attributes.Size
	if length >= 0 {
		end = min(end, offset+length)
	}
	if offset >= end {
		return reader{bytes.NewReader(nil), io.NopCloser(nil), found}, nil
	}
	header := http.Header{"Range": {"bytes=" + strconv.FormatInt(offset, 10) + "-" + strconv.FormatInt(end-1, 10)}}
	res, err := r.call(ctx, http.MethodGet, key, nil, header, nil) //nolint:bodyclose // the reader's Close does
	if err != nil {
		return nil, err
	}
	return reader{res.Body, res.Body, found}, nil
}

// NewTypedWriter implements driver.Bucket.
func (r *remote) NewTypedWriter(ctx context.Context, key, _ string, opts *driver.WriterOptions) (driver.Writer, error) {
	header := http.Header{}
	if opts.IfNotExist {
		header.Set("X-Goog-If-Generation-Match", "0")
	}
	return &upload{ctx: ctx, remote: r, key: key, header: header}, nil
}

// upload is an object that is sent when it is closed.
type upload struct {
	bytes.Buffer
	ctx    context.Context
	remote *remote
	key    string
	header http.Header
}

func (u *upload) Close() error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	res, err := u.remote.call(u.ctx, http.MethodPut, u.key, nil, u.header, &u.Buffer)
	if err == nil {
		res.Body.Close()
	}
	return err
}
