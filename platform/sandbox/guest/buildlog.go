//go:build unix

package guest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gocloud.dev/blob"
)

// logCopyName is our own copy of the build's log, kept for the upload: stdout belongs to the supervisor and
// cannot be read back.
const logCopyName = ".build-log"

func createLogCopy(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, logCopyName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

func contentTypeOptions(contentType string) *blob.WriterOptions {
	return &blob.WriterOptions{ContentType: contentType}
}

// snapshot stores the built app, if a bucket is named.
func (b *builder) snapshot(ctx context.Context) error {
	if b.task.Bucket == "" {
		return nil
	}
	b.log.system("taking the snapshot")
	if err := uploadSnapshot(ctx, b.task.Bucket, b.task.Ref, b.path(appFolder)); err != nil {
		return fmt.Errorf("snapshot could not be stored: %w", err)
	}
	return nil
}

func (b *builder) uploadLog(ctx context.Context) error {
	if b.logCopy == nil {
		return nil
	}
	if _, err := b.logCopy.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return upload(ctx, b.task.Bucket, objectName(b.task.Ref, logObject), "text/plain; charset=utf-8", func(w io.Writer) error {
		_, err := io.Copy(w, b.logCopy)
		return err
	})
}
