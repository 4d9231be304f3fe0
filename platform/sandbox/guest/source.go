package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// fetchSource puts the source of a spec into the project folder. Its errors are for the owner of the app.
func fetchSource(ctx context.Context, source sandbox.Source, app, scratch string) error {
	root, err := os.OpenRoot(app)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // lets go of a folder, nothing is lost
	if source.ArchiveURI == "" {
		return writeInline(ctx, source.Files, root)
	}
	kind, err := archiveKindOf(source.ArchiveURI)
	if err != nil {
		return fmt.Errorf("source archive %s: %w", source.ArchiveURI, err)
	}
	r, err := openObject(ctx, source.ArchiveURI)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("source archive not found: %s", source.ArchiveURI)
	}
	if err != nil {
		return fmt.Errorf("source archive %s cannot be read: %w", source.ArchiveURI, err)
	}
	defer r.Close()
	if err := unpackArchive(ctx, kind, r, root, scratch, sourceLimits); err != nil {
		return fmt.Errorf("source archive %s: %w", source.ArchiveURI, err)
	}
	return nil
}

func writeInline(ctx context.Context, files []sandbox.File, root *os.Root) error {
	u := newUnpacker(root, sourceLimits)
	for _, f := range files {
		name, err := u.accept(f.Path)
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		mode := fs.FileMode(0o644)
		if f.Executable {
			mode = 0o755
		}
		if err := u.file(ctx, name, mode, time.Time{}, bytes.NewReader(f.Data)); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	return nil
}
