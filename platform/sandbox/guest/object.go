package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/gcsblob" // opens gs:// addresses
	"gocloud.dev/gcerrors"
)

// transport is for addresses of objects. A connection that hangs must not hang the phase; bodies may take long, and the time for the
// answer begins at their end.
var transport = &http.Client{Transport: &http.Transport{
	Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: 10 * time.Second, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 30 * time.Second,
}}

// storeError is an answer of a store that is not a success. It names no address, since a signed one is a secret.
type storeError struct{ status int }

func (e *storeError) Error() string { return fmt.Sprintf("the store answered %d", e.status) }

// openObject opens the object at a file://, http(s):// or gs:// address. The error is fs.ErrNotExist when there is none.
func openObject(ctx context.Context, address string) (io.ReadCloser, error) {
	return openObjectAt(ctx, address, 0)
}

// openObjectAgain is openObject, tried again for a while when a remote store has a passing trouble.
func openObjectAgain(ctx context.Context, address string) (r io.ReadCloser, err error) {
	err = retry(ctx, func() (err error) {
		r, err = openObject(ctx, address)
		if !remote(address) || errors.Is(err, fs.ErrNotExist) {
			return backoff.Permanent(err)
		}
		return err
	})
	return r, err
}

// remote reports an address over HTTP.
func remote(address string) bool {
	return strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://")
}

// openObjectAt opens an object from a byte offset on. Beyond its end it is empty.
func openObjectAt(ctx context.Context, address string, offset int64) (io.ReadCloser, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address is not a URL")
	}
	switch u.Scheme {
	case "file":
		path, err := filePath(u)
		if err != nil {
			return nil, err
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	case "http", "https":
		return getObject(ctx, address, offset)
	case "gs":
		return openBlob(ctx, u, offset)
	default:
		return nil, fmt.Errorf("only file://, gs:// and https:// addresses are supported, not %q", u.Scheme)
	}
}

func filePath(u *url.URL) (string, error) {
	if u.Host != "" && u.Host != "localhost" {
		return "", errors.New("a file address begins with file:///")
	}
	return filepath.FromSlash(u.Path), nil
}

func getObject(ctx context.Context, address string, offset int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the address is not a URL")
	}
	if offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
	}
	resp, err := transport.Do(req)
	if err != nil {
		return nil, withoutAddress(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotFound:
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, &storeError{resp.StatusCode})
	case http.StatusRequestedRangeNotSatisfiable:
		return io.NopCloser(bytes.NewReader(nil)), nil
	default:
		return nil, &storeError{resp.StatusCode}
	}
}

// withoutAddress takes the URL out of a client's error.
func withoutAddress(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("the store was not reached: %w", wrapped.Err)
	}
	return err
}

// blobObject is a blob being read, and its bucket, closed with it.
type blobObject struct {
	*blob.Reader
	bucket *blob.Bucket
}

func (o blobObject) Close() error { return errors.Join(o.Reader.Close(), o.bucket.Close()) }

func openBlob(ctx context.Context, u *url.URL, offset int64) (io.ReadCloser, error) {
	bucket, err := blob.OpenBucket(ctx, (&url.URL{Scheme: "gs", Host: u.Host, RawQuery: u.RawQuery}).String())
	if err != nil {
		return nil, err
	}
	r, err := bucket.NewRangeReader(ctx, strings.TrimPrefix(u.Path, "/"), offset, -1, nil)
	if err != nil {
		if gcerrors.Code(err) == gcerrors.NotFound {
			err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return nil, errors.Join(err, bucket.Close())
	}
	return blobObject{r, bucket}, nil
}

// writeObject stores what write writes at a file:// or http(s):// address: all of it, or nothing. write is called again
// when the store has a passing trouble.
func writeObject(ctx context.Context, address string, write func(io.Writer) error) error {
	return retry(ctx, func() error {
		u, err := url.Parse(address)
		if err != nil {
			return backoff.Permanent(errors.New("the address is not a URL"))
		}
		if u.Scheme == "file" {
			path, err := filePath(u)
			if err != nil {
				return backoff.Permanent(err)
			}
			return backoff.Permanent(writeFile(path, write))
		}
		r, w := io.Pipe()
		wrote := make(chan error, 1)
		go func() {
			err := write(w)
			w.CloseWithError(err) // nil is the end
			wrote <- err
		}()
		err = putObject(ctx, address, r, -1, false)
		r.CloseWithError(errors.New("the store takes no more"))
		if failed := <-wrote; failed != nil && err != nil && !passing(err) {
			return backoff.Permanent(errors.Join(failed, err))
		}
		return err
	})
}

func writeFile(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// createObject stores body at an address at which there is nothing, and says whether it did. An error leaves open whether
// it did.
func createObject(ctx context.Context, address string, body []byte) (created bool, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return false, errors.New("the address is not a URL")
	}
	if u.Scheme == "file" {
		path, err := filePath(u)
		if err != nil {
			return false, err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return false, err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		_, err = f.Write(body)
		return err == nil, errors.Join(err, f.Close())
	}
	err = putObject(ctx, address, bytes.NewReader(body), int64(len(body)), true)
	if answer, ok := errors.AsType[*storeError](err); ok && answer.status == http.StatusPreconditionFailed {
		return false, nil
	}
	return err == nil, err
}

// putObject sends one PUT. A negative length is not known.
func putObject(ctx context.Context, address string, body io.Reader, length int64, onlyNew bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, body)
	if err != nil {
		return errors.New("the address is not a URL")
	}
	if length >= 0 {
		req.ContentLength = length
	}
	if onlyNew {
		req.Header.Set("X-Goog-If-Generation-Match", "0")
	}
	resp, err := transport.Do(req)
	if err != nil {
		return withoutAddress(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // lets the connection be used again
	if resp.StatusCode/100 != 2 {
		return &storeError{resp.StatusCode}
	}
	return nil
}

// retry calls fn again while its error is a passing trouble, for a while.
func retry(ctx context.Context, fn func() error) error {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(3*time.Second), backoff.WithMaxElapsedTime(45*time.Second))
	return backoff.Retry(func() error {
		err := fn()
		if _, permanent := errors.AsType[*backoff.PermanentError](err); permanent || err == nil || passing(err) {
			return err
		}
		return backoff.Permanent(err)
	}, backoff.WithContext(wait, ctx))
}

// passing reports an error that may not come again: everything but an answer that says what is wrong.
func passing(err error) bool {
	answer, ok := errors.AsType[*storeError](err)
	return !ok || answer.status >= 500 || answer.status == http.StatusTooManyRequests || answer.status == http.StatusRequestTimeout
}
