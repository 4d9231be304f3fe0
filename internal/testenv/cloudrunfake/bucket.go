package cloudrunfake

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

var (
	errNoObject = errors.New("no such object")
	errExists   = errors.New("the object exists")
)

// bucket is a driver of gocloud.dev/blob with the promises of Cloud Storage that fileblob does not keep: an object is made on the
// condition that there is none atomically, and a list is whole whatever is written meanwhile. Contents are in files, what they
// are called is in memory.
type bucket struct {
	dir     string
	address func(key string, opts *driver.SignedURLOptions) string

	mu      sync.Mutex
	objects map[string]object
}

type object struct {
	file string
	size int64
	kind string
	at   time.Time
}

// ErrorCode implements driver.Bucket.
func (b *bucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, errNoObject):
		return gcerrors.NotFound
	case errors.Is(err, errExists):
		return gcerrors.FailedPrecondition
	case errors.Is(err, errors.ErrUnsupported):
		return gcerrors.Unimplemented
	default:
		return gcerrors.Unknown
	}
}

// As implements driver.Bucket.
func (b *bucket) As(any) bool { return false }

// ErrorAs implements driver.Bucket.
func (b *bucket) ErrorAs(error, any) bool { return false }

// Close implements driver.Bucket.
func (b *bucket) Close() error { return nil }

// Copy implements driver.Bucket.
func (b *bucket) Copy(context.Context, string, string, *driver.CopyOptions) error {
	return errors.ErrUnsupported
}

// SignedURL implements driver.Bucket.
func (b *bucket) SignedURL(_ context.Context, key string, opts *driver.SignedURLOptions) (string, error) {
	return b.address(key, opts), nil
}

func (b *bucket) find(key string) (object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := b.objects[key]
	if !ok {
		return object{}, errNoObject
	}
	return found, nil
}

// Attributes implements driver.Bucket.
func (b *bucket) Attributes(_ context.Context, key string) (*driver.Attributes, error) {
	found, err := b.find(key)
	return &driver.Attributes{ContentType: found.kind, CreateTime: found.at, ModTime: found.at, Size: found.size}, err
}

// ListPaged implements driver.Bucket. A page token is the last key of the page before.
func (b *bucket) ListPaged(_ context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	if opts.Delimiter != "" {
		return nil, errors.ErrUnsupported
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var result driver.ListPage
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if !strings.HasPrefix(key, opts.Prefix) || key <= string(opts.PageToken) {
			continue
		}
		if limit := opts.PageSize; len(result.Objects) == limit && limit > 0 {
			result.NextPageToken = []byte(result.Objects[limit-1].Key)
			break
		}
		result.Objects = append(result.Objects, &driver.ListObject{Key: key, ModTime: b.objects[key].at, Size: b.objects[key].size})
	}
	return &result, nil
}

// Delete implements driver.Bucket.
func (b *bucket) Delete(_ context.Context, key string, _ *driver.DeleteOptions) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := b.objects[key]
	if !ok {
		return errNoObject
	}
	delete(b.objects, key)
	return os.Remove(found.file)
}

// NewRangeReader implements driver.Bucket. What is open can be read to its end, whatever becomes of the object.
func (b *bucket) NewRangeReader(_ context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := b.objects[key]
	if !ok {
		return nil, errNoObject
	}
	f, err := os.Open(found.file)
	if err != nil {
		return nil, err
	}
	if rest := max(found.size-offset, 0); length < 0 || length > rest {
		length = rest
	}
	return reader{io.NewSectionReader(f, offset, length), f, found}, nil
}

type reader struct {
	io.Reader
	io.Closer
	object object
}

func (r reader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: r.object.kind, ModTime: r.object.at, Size: r.object.size}
}

func (r reader) As(any) bool { return false }

// NewTypedWriter implements driver.Bucket.
func (b *bucket) NewTypedWriter(ctx context.Context, key, contentType string, opts *driver.WriterOptions) (driver.Writer, error) {
	f, err := os.CreateTemp(b.dir, "object-")
	if err != nil {
		return nil, err
	}
	return &writer{File: f, ctx: ctx, bucket: b, key: key, kind: contentType, onlyNew: opts.IfNotExist}, nil
}

// writer is an object that appears when it is closed.
type writer struct {
	*os.File
	ctx     context.Context
	bucket  *bucket
	key     string
	kind    string
	onlyNew bool
}

func (w *writer) Close() error {
	info, err := w.Stat()
	err = errors.Join(err, w.File.Close(), w.ctx.Err())
	if err != nil {
		return errors.Join(err, os.Remove(w.Name()))
	}
	b := w.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	old, replaced := b.objects[w.key]
	if replaced && w.onlyNew {
		return errors.Join(errExists, os.Remove(w.Name()))
	}
	b.objects[w.key] = object{w.Name(), info.Size(), w.kind, time.Now()}
	if replaced {
		return os.Remove(old.file)
	}
	return nil
}
