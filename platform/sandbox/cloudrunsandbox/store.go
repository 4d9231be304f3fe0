package cloudrunsandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Store holds the objects of sandboxes. All methods are safe for concurrent use, and what one call wrote every later call
// reads. [NewStore] makes one of a bucket.
type Store interface {
	// Get returns an object. fs.ErrNotExist when there is none.
	Get(ctx context.Context, key string) ([]byte, error)
	// Range returns an object from a byte offset on; beyond its end it is empty. fs.ErrNotExist when there is none.
	Range(ctx context.Context, key string, offset int64) (io.ReadCloser, error)
	// Put makes or replaces an object.
	Put(ctx context.Context, key string, body []byte) error
	// Create makes an object unless there is one, atomically, and says whether it did. An error leaves open whether it did.
	Create(ctx context.Context, key string, body []byte) (created bool, err error)
	// Delete removes an object; absent is nil.
	Delete(ctx context.Context, key string) error
	// List returns the keys with a prefix, in order.
	List(ctx context.Context, prefix string) ([]string, error)
	// Sign returns an http(s) URL that allows one method, GET or PUT, on one object, until the time is over. With onlyNew a PUT
	// must carry the header x-goog-if-generation-match: 0.
	Sign(ctx context.Context, method, key string, onlyNew bool, ttl time.Duration) (string, error)
}

// NewStore returns the store that a bucket is. The bucket must be able to sign, which for Cloud Storage needs a service account
// with roles/iam.serviceAccountTokenCreator on itself, and its conditional writes must be atomic, as those of Cloud
// Storage are.
func NewStore(bucket *blob.Bucket) Store { return blobStore{bucket} }

type blobStore struct{ bucket *blob.Bucket }

func (s blobStore) Get(ctx context.Context, key string) ([]byte, error) {
	body, err := s.bucket.ReadAll(ctx, key)
	return body, storeError(err)
}

func (s blobStore) Range(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	attrs, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return nil, storeError(err)
	}
	if offset >= attrs.Size {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	// The end is fixed now: an object that is replaced meanwhile has grown.
	r, err := s.bucket.NewRangeReader(ctx, key, offset, attrs.Size-offset, nil)
	if err != nil {
		return nil, storeError(err)
	}
	return r, nil
}

func (s blobStore) Put(ctx context.Context, key string, body []byte) error {
	return storeError(s.bucket.WriteAll(ctx, key, body, &blob.WriterOptions{ContentType: "application/octet-stream"}))
}

func (s blobStore) Create(ctx context.Context, key string, body []byte) (bool, error) {
	err := s.bucket.WriteAll(ctx, key, body, &blob.WriterOptions{ContentType: "application/octet-stream", IfNotExist: true})
	if gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return false, nil
	}
	return err == nil, storeError(err)
}

func (s blobStore) Delete(ctx context.Context, key string) error {
	err := storeError(s.bucket.Delete(ctx, key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s blobStore) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	for list := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		object, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return nil, storeError(err)
		}
		if !strings.HasSuffix(object.Key, "/") {
			keys = append(keys, object.Key)
		}
	}
}

func (s blobStore) Sign(ctx context.Context, method, key string, onlyNew bool, ttl time.Duration) (string, error) {
	address, err := s.bucket.SignedURL(ctx, key, &blob.SignedURLOptions{Method: method, Expiry: ttl, BeforeSign: func(as func(any) bool) error {
		var o *storage.SignedURLOptions
		if !as(&o) {
			return nil // not Cloud Storage
		}
		o.Scheme = storage.SigningSchemeV4
		if onlyNew {
			// Cloud Storage refuses headers of its own that are not signed.
			o.Headers = append(o.Headers, "x-goog-if-generation-match:0")
		}
		return nil
	}})
	return address, storeError(err)
}

// storeError makes absence what the rest of the driver looks for.
func storeError(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// signs are what a set of addresses is made of.
type sign struct {
	address *string
	method  string
	key     string
	onlyNew bool
}

func get(address *string, key string) sign { return sign{address, http.MethodGet, key, false} }
func put(address *string, key string) sign { return sign{address, http.MethodPut, key, false} }
