package guest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// prepareFolders makes the folders of a task. With fresh they are emptied first.
func prepareFolders(dir string, fresh bool) error {
	for _, name := range []string{appFolder, homeFolder, tmpFolder} {
		path := filepath.Join(dir, name)
		if fresh {
			if err := removeAll(path); err != nil {
				return err
			}
		}
		if err := prepareFolder(path); err != nil {
			return err
		}
	}
	return nil
}

func prepareFolder(path string) error { return os.MkdirAll(path, 0o750) }

// removeAll removes a folder that may hold read-only folders, as Go's module cache does.
func removeAll(path string) error {
	if err := os.RemoveAll(path); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			return os.Chmod(name, 0o700) //nolint:gosec // a folder needs its x bit
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(path))
}
