package app

import (
	"context"
	"fmt"
	"os"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob" // opens gs:// addresses
)

// needsSources lists who writes, reads or removes uploads and large payloads.
func needsSources(role Role) bool {
	return role == RoleGateway || role == RoleStateWriter || role == RoleJanitor
}

// openSources opens where uploads and large payloads go.
func (p *provider) openSources(ctx context.Context, c Config) (err error) {
	if p.sourcesURL, err = c.sourcesURL(); err != nil {
		return err
	}
	if p.sources, err = openBucket(ctx, p.sourcesURL); err != nil {
		return fmt.Errorf("SOURCES_URL: %w", err)
	}
	p.onClose("uploads", func(context.Context) error { return p.sources.Close() })
	return nil
}

// openBucket opens a bucket by its address; a folder is made.
func openBucket(ctx context.Context, address string) (*blob.Bucket, error) {
	dir, ok := folderOf(address)
	if !ok {
		return blob.OpenBucket(ctx, address)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// Temporary files beside their target, where rename works; no sidecar files.
	return fileblob.OpenBucket(dir, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite, DirFileMode: 0o700})
}
