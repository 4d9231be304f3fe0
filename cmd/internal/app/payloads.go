package app

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/workers/statewriter"
)

// payloads reads the payloads of mutations that were too large to travel. It reads from one folder of one bucket: an
// address is written by whoever may publish, and must not lead anywhere else.
type payloads struct {
	bucket *blob.Bucket
	// address is that of the bucket, without a slash at the end.
	address string
}

var _ statewriter.Payloads = payloads{}

// Read implements [statewriter.Payloads].
func (p payloads) Read(ctx context.Context, address string, limit int64) ([]byte, error) {
	key, err := p.key(address)
	if err != nil {
		return nil, err
	}
	object, err := p.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("%w: %s", statewriter.ErrPayloadNotFound, key)
	}
	if err != nil {
		return nil, fmt.Errorf("payload %s: %w", key, err)
	}
	defer func() { _ = object.Close() }() // it was only read
	if object.Size() > limit {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", statewriter.ErrPayloadTooLarge, object.Size(), limit)
	}
	data, err := io.ReadAll(io.LimitReader(object, limit+1))
	if err != nil {
		return nil, fmt.Errorf("payload %s: %w", key, err)
	}
	if int64(len(data)) > limit { // it grew after its size was told
		return nil, fmt.Errorf("%w: the limit is %d bytes", statewriter.ErrPayloadTooLarge, limit)
	}
	return data, nil
}

// key is the object's name in the bucket.
func (p payloads) key(address string) (string, error) {
	escaped, ok := strings.CutPrefix(address, p.address+"/"+gateway.MutationPrefix)
	if !ok {
		return "", fmt.Errorf("%w: it is not below %s/%s", statewriter.ErrPayloadRefused, p.address, gateway.MutationPrefix)
	}
	name, err := url.PathUnescape(escaped)
	if err != nil || name == "" || path.Clean("/"+name) != "/"+name || strings.ContainsAny(name, "\\\x00") {
		return "", fmt.Errorf("%w: it does not name an object below %s/%s", statewriter.ErrPayloadRefused, p.address, gateway.MutationPrefix)
	}
	return gateway.MutationPrefix + name, nil
}
