package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// pathLimit is the longest path of a project file in bytes, PATH_MAX on Linux with its NUL.
const pathLimit = 4095

// cleanPath checks a slash-separated path of a project file and returns its shortest form. The project
// folder itself, ".", is not a file. Symbolic links are not its business: [os.Root] refuses those that leave.
func cleanPath(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("the path is empty")
	case len(name) > pathLimit:
		return "", fmt.Errorf("the path is longer than %d bytes", pathLimit)
	case strings.ContainsRune(name, 0):
		return "", errors.New("the path holds a NUL byte")
	case strings.Contains(name, `\`):
		return "", errors.New("the path holds a backslash; separate folders by slashes")
	case strings.HasPrefix(name, "/"):
		return "", errors.New("absolute paths are not allowed")
	}
	clean := path.Clean(name)
	if !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", errors.New("the path leads outside the project")
	}
	if clean == "." {
		return "", errors.New("the path names the project folder itself")
	}
	return clean, nil
}

// leavesRoot reports that [os.Root] refused to follow a path out of the root. Package os does not export
// that error; it is the one kind that does not come from the operating system.
func leavesRoot(err error) bool {
	bad, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return false
	}
	_, system := errors.AsType[syscall.Errno](bad.Err)
	return !system && !errors.Is(bad.Err, fs.ErrClosed) && !errors.Is(bad.Err, fs.ErrInvalid)
}
