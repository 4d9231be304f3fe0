package client

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

// Limits of a project that is sent. The server unpacks no more than maxUnpacked bytes and maxEntries files.
const (
	// inlineBytes and inlineFiles are what still travels inside the request; more is uploaded.
	inlineBytes = 512 << 10
	inlineFiles = 500
	maxUnpacked = 512 << 20
	maxEntries  = 20000
)

// skipped are folders that are never sent: what they hold is made by installing, or is not part of the app.
var skipped = map[string]bool{"node_modules": true, ".git": true}

// RunProject sends a project's files and asks for a sandbox that runs them. A small project travels inside the
// request; a larger one is uploaded first. Not sent are node_modules, .git, symbolic links, and the folder dist when it
// is not what is served without a build.
func (s *Sandboxes) RunProject(ctx context.Context, p Project) (Accepted, error) {
	root, err := os.OpenRoot(p.Dir)
	if err != nil {
		return Accepted{}, err
	}
	defer func() { _ = root.Close() }() // it was only read
	entries, size, err := p.entries(root.FS())
	if err != nil {
		return Accepted{}, fmt.Errorf("%s: %w", p.Dir, err)
	}
	request := p.Request
	if size <= inlineBytes && len(entries) <= inlineFiles {
		request.Source.Files, err = inline(root, entries)
	} else {
		request.Source.ArchiveURI, err = s.c.uploadEntries(ctx, root, entries)
	}
	if err != nil {
		return Accepted{}, fmt.Errorf("send %s: %w", p.Dir, err)
	}
	return s.Run(ctx, request)
}

// entry is one file of a project.
type entry struct {
	path string
	size int64
	exec bool
}

// entries lists what is sent, in the order of names.
func (p Project) entries(files fs.FS) (list []entry, size int64, err error) {
	keepDist := p.Request.BuildCommand == "" && (p.Request.StaticDir == "dist" || strings.HasPrefix(p.Request.StaticDir, "dist/"))
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped[path.Base(name)] || name == "dist" && !keepDist {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		list = append(list, entry{name, info.Size(), info.Mode()&0o100 != 0})
		size += info.Size()
		if len(list) > maxEntries || size > maxUnpacked {
			return fmt.Errorf("it is larger than %d files or %d MiB", maxEntries, maxUnpacked>>20)
		}
		return nil
	})
	if err == nil && len(list) == 0 {
		err = errors.New("it has no files")
	}
	return list, size, err
}

func inline(root *os.Root, entries []entry) ([]File, error) {
	files := make([]File, len(entries))
	for i, e := range entries {
		data, err := root.ReadFile(e.path)
		if err != nil {
			return nil, err
		}
		files[i] = File{Path: e.path, Executable: e.exec}
		if utf8.Valid(data) {
			files[i].Content = string(data)
		} else {
			files[i].Data = data
		}
	}
	return files, nil
}

// uploadEntries packs a project and uploads it. The same files give the same archive: times and owners are left out.
func (c *Client) uploadEntries(ctx context.Context, root *os.Root, entries []entry) (string, error) {
	spool, err := os.CreateTemp("", "vibectl-*.tar.gz")
	if err != nil {
		return "", err
	}
	defer func() { _ = errors.Join(spool.Close(), os.Remove(spool.Name())) }() // what stays is the system's to clean
	if err := pack(spool, root, entries); err != nil {
		return "", err
	}
	size, err := spool.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", err
	}
	return c.Upload(ctx, spool, size)
}

// Upload stores a gzipped tar archive and returns the address to name in a request. The server takes up to 100 MiB.
// archive is read once for each try, and may still be read shortly after the return.
func (c *Client) Upload(ctx context.Context, archive io.ReaderAt, size int64) (string, error) {
	var out struct {
		ArchiveURI string `json:"archiveUri"`
	}
	err := c.json(ctx, call{
		method: http.MethodPost, path: []string{"v1", "sources"}, kind: "application/gzip", size: size,
		body: func() (io.Reader, error) { return io.NewSectionReader(archive, 0, size), nil },
	}, &out)
	return out.ArchiveURI, err
}

func pack(to io.Writer, root *os.Root, entries []entry) error {
	zip := gzip.NewWriter(to)
	out := tar.NewWriter(zip)
	for _, e := range entries {
		if err := packFile(out, root, e); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zip.Close())
}

func packFile(out *tar.Writer, root *os.Root, e entry) error {
	f, err := root.Open(e.path)
	if err != nil {
		return err
	}
	defer f.Close()
	mode := int64(0o644)
	if e.exec {
		mode = 0o755
	}
	if err := out.WriteHeader(&tar.Header{Name: e.path, Size: e.size, Mode: mode, Typeflag: tar.TypeReg, Format: tar.FormatPAX}); err != nil {
		return err
	}
	if _, err := io.CopyN(out, f, e.size); err != nil {
		return fmt.Errorf("%s changed while it was read: %w", e.path, err)
	}
	return nil
}
