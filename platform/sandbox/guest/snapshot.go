package guest

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"vibesdk-gcp/platform/sandbox"
)

// Names of a generation's objects in the bucket, below sandboxes/<id>/<fence>/.
const (
	snapshotObject = "snapshot.tar.zst"
	logObject      = "build.log"
)

func objectName(ref sandbox.Ref, name string) string { return "sandboxes/" + ref.String() + "/" + name }

// uploadSnapshot stores the folder app as tar + zstd. The object appears when it is complete, or never.
func uploadSnapshot(ctx context.Context, bucketURL string, ref sandbox.Ref, app string) (err error) {
	return upload(ctx, bucketURL, objectName(ref, snapshotObject), "application/zstd", func(w io.Writer) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			return err
		}
		return errors.Join(writeTar(ctx, z, app), z.Close())
	})
}

// restoreSnapshot unpacks the snapshot into the folder app, which must be empty.
func restoreSnapshot(ctx context.Context, bucketURL string, ref sandbox.Ref, app string) error {
	bucket, err := openBucket(ctx, bucketURL)
	if err != nil {
		return err
	}
	defer bucket.Close() //nolint:errcheck // only read from
	r, err := bucket.NewReader(ctx, objectName(ref, snapshotObject), nil)
	if err != nil {
		return blobError(err)
	}
	defer r.Close() //nolint:errcheck // only read from
	z, err := zstd.NewReader(r)
	if err != nil {
		return err
	}
	defer z.Close()
	root, err := os.OpenRoot(app)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // lets go of a folder, nothing is lost
	return unpackArchive(ctx, kindTar, z, root, "", snapshotLimits)
}

// upload writes one object. An error of write leaves no object behind.
func upload(ctx context.Context, bucketURL, key, contentType string, write func(io.Writer) error) (err error) {
	bucket, err := openBucket(ctx, bucketURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := bucket.NewWriter(ctx, key, contentTypeOptions(contentType))
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(w, 256<<10)
	if err = errors.Join(write(buffered), buffered.Flush()); err != nil {
		cancel() // makes Close give up the object
		_ = w.Close()
		return err
	}
	return w.Close()
}

// writeTar writes everything below dir: files, folders, symbolic links as they are. Sockets, pipes and
// devices mean nothing elsewhere and are left out.
func writeTar(ctx context.Context, w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // lets go of a folder, nothing is lost
	tw := tar.NewWriter(w)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return writeEntry(tw, root, name, entry)
	})
	return errors.Join(err, tw.Close())
}

func writeEntry(tw *tar.Writer, root *os.Root, name string, entry fs.DirEntry) error {
	kind := entry.Type()
	if name != "." && !kind.IsDir() && !kind.IsRegular() && kind != fs.ModeSymlink {
		return nil
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	link := ""
	if kind == fs.ModeSymlink {
		if link, err = root.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = filepath.ToSlash(name)
	if kind.IsDir() {
		h.Name += "/"
	}
	h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	if !kind.IsRegular() {
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(tw, f, h.Size); err != nil {
		return fmt.Errorf("snapshot: %s changed while it was read: %w", name, err)
	}
	return nil
}
