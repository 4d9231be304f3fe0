//go:build unix

package guest

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"vibesdk-gcp/platform/sandbox"
)

// unlisted are folders that hold thousands of files nobody asks for. They are listed when all is asked for,
// or when the path itself is one.
var unlisted = map[string]bool{"node_modules": true, ".git": true}

var errListFull = errors.New("the listing is full")

// listFiles lists what is below a folder, ordered by path. Symbolic links are listed as files and not
// followed.
func (l *live) listFiles(r *http.Request) (any, error) {
	q := r.URL.Query()
	dir, glob, all := ".", q.Get("glob"), q.Get("all") == "1"
	if asked := q.Get("path"); asked != "" && path.Clean(asked) != "." {
		var err error
		if dir, err = livePath(asked); err != nil {
			return nil, err
		}
	}
	if err := checkGlob(glob); err != nil {
		return nil, refuse(http.StatusBadRequest, "glob %q: %v", glob, err)
	}
	list := sandbox.FileList{Files: []sandbox.FileInfo{}}
	err := fs.WalkDir(l.root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && name == dir:
			return err
		case err != nil, name == dir:
			return nil //nolint:nilerr // gone meanwhile, or a folder that cannot be read
		case entry.IsDir() && unlisted[entry.Name()] && !all:
			return fs.SkipDir
		case glob != "" && (entry.IsDir() || !matchGlob(glob, name)):
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // removed while we list
		}
		if len(list.Files) == sandbox.ControlListLimit {
			return errListFull
		}
		list.Files = append(list.Files, sandbox.FileInfo{
			Path: name, Dir: info.IsDir(), Size: sizeOf(info),
			Executable: !info.IsDir() && info.Mode()&0o111 != 0, ModifiedAt: info.ModTime().UTC(),
		})
		return nil
	})
	if errors.Is(err, errListFull) {
		list.Truncated, err = true, nil
	}
	return list, err
}

func sizeOf(info fs.FileInfo) int64 {
	if info.IsDir() {
		return 0 // what a folder itself takes depends on the file system
	}
	return info.Size()
}

// checkGlob reports a pattern that path.Match cannot read.
func checkGlob(glob string) error {
	if len(glob) > pathLimit {
		return errors.New("the pattern is too long")
	}
	for part := range strings.SplitSeq(glob, "/") {
		if _, err := path.Match(part, ""); err != nil {
			return err
		}
	}
	return nil
}

// matchGlob matches a path against a pattern of path.Match parts, where ** is any number of parts. A pattern
// without a slash matches the file's name in any folder.
func matchGlob(glob, name string) bool {
	if !strings.Contains(glob, "/") && glob != "**" {
		ok, err := path.Match(glob, path.Base(name))
		return ok && err == nil
	}
	return matchParts(strings.Split(glob, "/"), strings.Split(name, "/"))
}

// matchParts keeps for each pattern position whether the names so far can end there, so that many ** cost
// time in proportion to the pattern's and the path's length, not to a power of them.
func matchParts(glob, name []string) bool {
	reach := make([]bool, len(glob)+1)
	reach[0] = true
	skip := func() {
		for i, part := range glob {
			if reach[i] && part == "**" {
				reach[i+1] = true
			}
		}
	}
	skip()
	for _, n := range name {
		next := make([]bool, len(glob)+1)
		for i, part := range glob {
			if !reach[i] {
				continue
			}
			if part == "**" {
				next[i] = true
			} else if ok, err := path.Match(part, n); ok && err == nil {
				next[i+1] = true
			}
		}
		reach = next
		skip()
	}
	return reach[len(glob)]
}
