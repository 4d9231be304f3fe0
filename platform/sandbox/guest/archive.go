package guest

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// archiveKind is told by the name: content is not to be guessed.
type archiveKind int

const (
	kindTar archiveKind = iota + 1
	kindTarGzip
	kindZip
)

func archiveKindOf(name string) (archiveKind, error) {
	name, _, _ = strings.Cut(strings.ToLower(name), "?")
	switch {
	case strings.HasSuffix(name, ".tar"):
		return kindTar, nil
	case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return kindTarGzip, nil
	case strings.HasSuffix(name, ".zip"):
		return kindZip, nil
	}
	return 0, errors.New("the name must end in .tar, .tar.gz, .tgz or .zip")
}

// unpackArchive unpacks an archive below root. scratch is a folder for the temporary file that a zip needs.
func unpackArchive(ctx context.Context, kind archiveKind, r io.Reader, root *os.Root, scratch string, limits unpackLimits) error {
	u := newUnpacker(root, limits)
	var err error
	switch kind {
	case kindTar:
		err = unpackTar(ctx, u, r)
	case kindTarGzip:
		var gz *gzip.Reader
		if gz, err = gzip.NewReader(bufio.NewReaderSize(r, 256<<10)); err != nil {
			return fmt.Errorf("not a gzip file: %w", err)
		}
		err = unpackTar(ctx, u, gz)
	case kindZip:
		err = unpackZipStream(ctx, u, r, scratch)
	}
	if err != nil {
		return err
	}
	return u.finish()
}

func unpackTar(ctx context.Context, u *unpacker, r io.Reader) error {
	tr := tar.NewReader(contextReader{ctx, r})
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			if u.entries == 0 {
				return errors.New("the archive is empty")
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("not a complete tar archive: %w", err)
		}
		name, err := u.accept(h.Name)
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // git archives begin with one; its name is no path
		}
		if err != nil {
			return err
		}
		mode := h.FileInfo().Mode()
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse:
			err = u.file(ctx, name, mode, h.ModTime, tr)
		case tar.TypeDir:
			err = u.folder(name, mode, h.ModTime)
		case tar.TypeSymlink:
			err = u.symlink(name, h.Linkname)
		case tar.TypeLink:
			err = u.hardlink(name, h.Linkname)
		default:
			err = entryError(h.Name, errors.New("devices, pipes and sockets are not allowed"))
		}
		if err != nil {
			return err
		}
	}
}

// unpackZipStream stores the archive first: a zip is read from its end.
func unpackZipStream(ctx context.Context, u *unpacker, r io.Reader, scratch string) error {
	f, err := os.CreateTemp(scratch, "source-*.zip")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // in the scratch folder; goes with it at the latest
	defer f.Close()
	n, err := io.Copy(f, io.LimitReader(contextReader{ctx, r}, u.limits.bytes+1))
	if err != nil {
		return err
	}
	if n > u.limits.bytes {
		return fmt.Errorf("the archive is larger than %d MiB", u.limits.bytes>>20)
	}
	return unpackZip(ctx, u, f, n)
}

func unpackZip(ctx context.Context, u *unpacker, r io.ReaderAt, size int64) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return fmt.Errorf("not a zip archive: %w", err)
	}
	if len(z.File) == 0 {
		return errors.New("the archive is empty")
	}
	for _, entry := range z.File {
		name, err := u.accept(entry.Name)
		if err != nil {
			return err
		}
		if err := unpackZipEntry(ctx, u, entry, name); err != nil {
			return err
		}
	}
	return nil
}

func unpackZipEntry(ctx context.Context, u *unpacker, entry *zip.File, name string) error {
	const encrypted = 0x1
	mode := entry.Mode()
	switch {
	case entry.Flags&encrypted != 0:
		return entryError(entry.Name, errors.New("encrypted entries are not supported"))
	case mode.IsDir():
		return u.folder(name, mode, entry.Modified)
	case mode.Type() != 0 && mode.Type() != fs.ModeSymlink:
		return entryError(entry.Name, errors.New("devices, pipes and sockets are not allowed"))
	}
	content, err := entry.Open()
	if err != nil {
		return entryError(entry.Name, err)
	}
	defer content.Close()
	if mode.Type() == fs.ModeSymlink {
		target, err := io.ReadAll(io.LimitReader(content, pathLimit))
		if err != nil {
			return entryError(entry.Name, err)
		}
		return u.symlink(name, string(target))
	}
	if mode.Perm() == 0 { // made on a system without modes
		mode = 0o644
	}
	return u.file(ctx, name, mode, entry.Modified, content)
}
