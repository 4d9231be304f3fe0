package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// fetchSource puts the source of a spec into the project folder. What lies in the app or its archive is a [BrokenError]; any other error
// is a trouble on the way, and no fault of the app.
func fetchSource(ctx context.Context, source sandbox.Source, app, scratch string) error {
	root, err := os.OpenRoot(app)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // lets go of a folder, nothing is lost
	if source.ArchiveURI == "" {
		return writeInline(ctx, source.Files, root)
	}
	name := shown(source.ArchiveURI)
	kind, err := archiveKindOf(source.ArchiveURI)
	if err != nil {
		return broken("source archive %s: %v", name, err)
	}
	r, err := openObjectAgain(ctx, source.ArchiveURI)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return broken("source archive not found: %s", name)
	case err != nil && remote(source.ArchiveURI) && passing(err):
		return fmt.Errorf("source archive %s cannot be read: %w", name, err)
	case err != nil:
		return broken("source archive %s cannot be read: %v", name, err)
	}
	defer r.Close()
	got := &download{Reader: r}
	err = unpackArchive(ctx, kind, got, root, scratch, sourceLimits)
	switch {
	case got.broke != nil:
		return fmt.Errorf("source archive %s broke off: %w", name, got.broke)
	case err != nil:
		return broken("source archive %s: %s", name, sentence(err))
	default:
		return nil
	}
}

// download remembers that what is read broke off, which the readers above it tell as if its content were wrong.
type download struct {
	io.Reader
	broke error
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && err != io.EOF {
		d.broke = err
	}
	return n, err
}

// shown is an address as logs and errors may have it: what makes a signed one a secret is in its query.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "at an address that is no URL"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

func writeInline(ctx context.Context, files []sandbox.File, root *os.Root) error {
	u := newUnpacker(root, sourceLimits)
	for _, f := range files {
		name, err := u.accept(f.Path)
		if err != nil {
			return broken("source: %v", err)
		}
		mode := fs.FileMode(0o644)
		if f.Executable {
			mode = 0o755
		}
		if err := u.file(ctx, name, mode, time.Time{}, bytes.NewReader(f.Data)); err != nil {
			return broken("source: %v", err)
		}
	}
	return nil
}
