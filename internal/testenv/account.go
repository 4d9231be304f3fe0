package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that a server runs as. Nil is the user of this process.
type account struct{ uid, gid int }

// serverAccount names the user for servers that refuse to run as root: this one, or postgres or nobody
// when this one is root.
func serverAccount() (*account, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseInt(found.Uid, 10, 64) // nobody is -2 on macOS
		gid, gidErr := strconv.ParseInt(found.Gid, 10, 64)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &account{uid: int(uid), gid: int(gid)}, nil
	}
	return nil, errors.New("running as root and there is neither a user postgres nor nobody to run the server as")
}

// procAttr starts a child as the account, in a process group of its own: Ctrl-C in the terminal reaches
// the test binary only.
func (a *account) procAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// tempDir makes a private folder that belongs to the account.
func (a *account) tempDir() (string, error) {
	root := os.TempDir()
	if a != nil && !open(root) {
		root = "/tmp" // TMPDIR of root is often below /root, where no other user gets in
	}
	dir, err := os.MkdirTemp(root, "vibesdk-testenv-")
	if err != nil {
		return "", err
	}
	if err := a.own(dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// open reports whether every user can pass through dir and all folders above it.
func open(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		up := filepath.Dir(dir)
		if up == dir {
			return true
		}
		dir = up
	}
}
