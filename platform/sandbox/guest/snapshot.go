package guest

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// uploadSnapshot stores the folder app as tar + zstd and returns its digest. The object appears when it is complete, or never.
func uploadSnapshot(ctx context.Context, address, app string) (digest string, err error) {
	err = writeObject(ctx, address, func(w io.Writer) error {
		sum := sha256.New()
		buffered := bufio.NewWriterSize(io.MultiWriter(w, sum), 256<<10)
		z, err := zstd.NewWriter(buffered, zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			return err
		}
		err = errors.Join(writeTar(ctx, z, app), z.Close(), buffered.Flush())
		digest = digestOf(sum)
		return err
	})
	return digest, err
}

func digestOf(sum hash.Hash) string { return "sha256:" + hex.EncodeToString(sum.Sum(nil)) }

// restoreSnapshot unpacks the snapshot into the folder app, which must be empty, and checks its digest unless that is empty.
func restoreSnapshot(ctx context.Context, address, digest, app string) error {
	r, err := openObjectAgain(ctx, address)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	all := io.TeeReader(r, sum)
	z, err := zstd.NewReader(all)
	if err != nil {
		return err
	}
	defer z.Close()
	root, err := os.OpenRoot(app)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // lets go of a folder, nothing is lost
	if err := unpackArchive(ctx, kindTar, z, root, "", snapshotLimits); err != nil {
		return err
	}
	z.Close()                                           // reads ahead no more
	if _, err := io.Copy(io.Discard, all); err != nil { // what comes after the last entry counts as well
		return err
	}
	if got := digestOf(sum); digest != "" && got != digest {
		return fmt.Errorf("its digest is %s, the build stored %s", got, digest)
	}
	return nil
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
