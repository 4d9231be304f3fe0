package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// unpackLimits bound what an archive may put on the disk.
type unpackLimits struct {
	entries int
	bytes   int64
	// anyLink lets symbolic links point anywhere, as those of a snapshot do. Writing never follows one out
	// of the folder in either case.
	anyLink bool
}

var (
	sourceLimits   = unpackLimits{entries: 20_000, bytes: 512 << 20}
	snapshotLimits = unpackLimits{entries: 2_000_000, bytes: 16 << 30, anyLink: true}
)

// unpacker puts the entries of an archive below a folder and refuses what does not belong there.
type unpacker struct {
	root   *os.Root
	limits unpackLimits

	entries int
	bytes   int64
	links   []string
	folders []folderMode
	buf     []byte
}

// folderMode is applied when all is unpacked: a read-only folder must take its files first.
type folderMode struct {
	name  string
	mode  fs.FileMode
	mtime time.Time
}

func newUnpacker(root *os.Root, limits unpackLimits) *unpacker {
	return &unpacker{root: root, limits: limits, buf: make([]byte, 64<<10)}
}

// accept counts an entry and returns its clean name. A folder that is the root itself has the name ".".
func (u *unpacker) accept(name string) (string, error) {
	u.entries++
	if u.entries > u.limits.entries {
		return "", fmt.Errorf("the archive has more than %d entries", u.limits.entries)
	}
	if name != "" && path.Clean(name) == "." {
		return ".", nil
	}
	clean, err := cleanPath(name)
	if err != nil {
		return "", entryError(name, err)
	}
	return clean, nil
}

func (u *unpacker) folder(name string, mode fs.FileMode, mtime time.Time) error {
	if name == "." {
		return nil
	}
	if err := u.root.MkdirAll(name, 0o755); err != nil {
		return entryError(name, rootError(err))
	}
	u.folders = append(u.folders, folderMode{name, mode.Perm() | 0o500, mtime})
	return nil
}

// file writes one file. Set-user-id bits and the like are dropped.
func (u *unpacker) file(ctx context.Context, name string, mode fs.FileMode, mtime time.Time, content io.Reader) error {
	if err := u.clear(name); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return entryError(name, rootError(err))
	}
	left := u.limits.bytes - u.bytes
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(contextReader{ctx, content}, left+1), u.buf)
	u.bytes += n
	if err == nil && n > left {
		err = fmt.Errorf("the archive unpacks to more than %d MiB", u.limits.bytes>>20)
	}
	if err == nil {
		err = f.Chmod(mode.Perm() | 0o400)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return entryError(name, err)
	}
	if mtime.IsZero() || mtime.Unix() == 0 {
		return nil
	}
	return u.root.Chtimes(name, mtime, mtime)
}

func (u *unpacker) symlink(name, target string) error {
	if !u.limits.anyLink {
		if path.IsAbs(target) || strings.ContainsRune(target, 0) || !filepath.IsLocal(path.Join(path.Dir(name), target)) {
			return entryError(name, fmt.Errorf("the symbolic link to %q leads outside the project", target))
		}
		u.links = append(u.links, name)
	}
	if err := u.clear(name); err != nil {
		return err
	}
	if err := u.root.Symlink(target, name); err != nil {
		return entryError(name, rootError(err))
	}
	return nil
}

// hardlink links to an entry that was unpacked before.
func (u *unpacker) hardlink(name, target string) error {
	clean, err := cleanPath(target)
	if err != nil {
		return entryError(name, fmt.Errorf("hard link to %q: %w", target, err))
	}
	info, err := u.root.Lstat(clean)
	if err != nil || !info.Mode().IsRegular() {
		return entryError(name, fmt.Errorf("hard link to %q, which is not a file unpacked before", target))
	}
	if clean == name {
		return nil
	}
	if err := u.clear(name); err != nil {
		return err
	}
	if err := u.root.Link(clean, name); err != nil {
		return entryError(name, rootError(err))
	}
	return nil
}

// clear makes room for an entry: its folder exists and nothing has its name. The last of two entries with
// one name wins, and never writes through a link that the first one made.
func (u *unpacker) clear(name string) error {
	if name == "." {
		return entryError(name, errors.New("only a folder can be the project folder"))
	}
	if dir := path.Dir(name); dir != "." {
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return entryError(name, rootError(err))
		}
	}
	if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return entryError(name, rootError(err))
	}
	return nil
}

// finish checks what only the whole archive tells, and applies the modes of folders.
func (u *unpacker) finish() error {
	for _, name := range u.links {
		// A chain of links can leave although each one alone looks local. A dangling link is fine.
		if _, err := u.root.Stat(name); leavesRoot(err) {
			return entryError(name, errors.New("the symbolic link leads outside the project"))
		}
	}
	for i := len(u.folders) - 1; i >= 0; i-- {
		f := u.folders[i]
		info, err := u.root.Lstat(f.name)
		if err != nil || !info.IsDir() {
			continue // a later entry took its place
		}
		if err := u.root.Chmod(f.name, f.mode); err != nil {
			return entryError(f.name, err)
		}
		if !f.mtime.IsZero() {
			if err := u.root.Chtimes(f.name, f.mtime, f.mtime); err != nil {
				return entryError(f.name, err)
			}
		}
	}
	return nil
}

func entryError(name string, err error) error { return fmt.Errorf("entry %q: %w", name, err) }

// rootError says in words that a path went through a link that leaves.
func rootError(err error) error {
	if leavesRoot(err) {
		return errors.New("the path leads outside the project through a symbolic link")
	}
	return err
}

// contextReader ends reading when the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
