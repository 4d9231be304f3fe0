package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob" // opens gs:// addresses
	"gocloud.dev/gcerrors"
)

// object is a blob being read, and its bucket, closed with it.
type object struct {
	*blob.Reader
	bucket *blob.Bucket
}

func (o object) Close() error { return errors.Join(o.Reader.Close(), o.bucket.Close()) }

// openObject opens the blob at a file:// or gs:// address. The error is fs.ErrNotExist when there is none.
func openObject(ctx context.Context, address string) (io.ReadCloser, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address %q is not a URL", address)
	}
	var bucket *blob.Bucket
	key := strings.TrimPrefix(u.Path, "/")
	switch u.Scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return nil, fmt.Errorf("address %q: a file address begins with file:///", address)
		}
		dir, name := path.Split(u.Path)
		key = name
		bucket, err = fileblob.OpenBucket(filepath.FromSlash(dir), &fileblob.Options{Metadata: fileblob.MetadataDontWrite})
	case "gs":
		bucket, err = openBucket(ctx, (&url.URL{Scheme: "gs", Host: u.Host, RawQuery: u.RawQuery}).String())
	default:
		return nil, fmt.Errorf("address %q: only file:// and gs:// are supported", address)
	}
	if err != nil {
		return nil, blobError(err)
	}
	r, err := bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, errors.Join(blobError(err), bucket.Close())
	}
	return object{r, bucket}, nil
}

// openBucket opens the bucket that holds snapshots.
func openBucket(ctx context.Context, address string) (*blob.Bucket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("bucket %q is not a URL", address)
	}
	if u.Scheme == "file" {
		// No sidecar files, and temporary files beside their target, where rename works.
		q := u.Query()
		q.Set("metadata", "skip")
		q.Set("no_tmp_dir", "true")
		q.Set("create_dir", "true")
		u.RawQuery = q.Encode()
	}
	return blob.OpenBucket(ctx, u.String())
}

func blobError(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}
