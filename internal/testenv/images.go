package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Images builds container images with buildah and runs programs in them, without an engine and without a registry. It is not safe for
// concurrent use.
type Images struct {
	t       testing.TB
	storage []string
	base    string
}

// NewImages returns a builder whose images are removed when t ends. See the package comment for when the test is skipped.
func NewImages(t testing.TB) *Images {
	t.Helper()
	skipShort(t, "buildah")
	require(t, "buildah", canBuildImages())
	dir := t.TempDir()
	return &Images{t: t, storage: []string{"--storage-driver", "vfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run")}}
}

func canBuildImages() error {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		return fmt.Errorf("%w: building images needs root on Linux", errMissing)
	}
	for _, program := range []string{"buildah", "debootstrap", "node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: no %s in PATH; install it", errMissing, program)
		}
	}
	return nil
}

// NodeBase is an image of Debian with this machine's Node.js and npm, in place of the official one.
func (i *Images) NodeBase() string {
	i.t.Helper()
	if i.base != "" {
		return i.base
	}
	root, err := debianRoot()
	if err != nil {
		i.t.Fatalf("Debian for images: %v", err)
	}
	container := i.buildah("from", "scratch")
	i.buildah("copy", "--quiet", container, root, "/")
	node, npm := resolved(i.t, "node"), filepath.Dir(filepath.Dir(resolved(i.t, "npm")))
	i.buildah("copy", "--quiet", container, node, "/usr/bin/node")
	i.buildah("copy", "--quiet", container, npm, "/usr/lib/node_modules/npm")
	i.buildah("run", "--isolation", "chroot", container, "--", "ln", "-s", "../lib/node_modules/npm/bin/npm-cli.js", "/usr/bin/npm")
	i.buildah("commit", "--quiet", "--rm", container, "localhost/node")
	i.base = "localhost/node"
	return i.base
}

func resolved(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// debianRoot is a folder with a small Debian, made once for each machine.
var debianRoot = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "vibesdk-gcp", "debian-bookworm")
	if isFile(filepath.Join(root, "etc", "debian_version")) {
		return root, nil
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o750); err != nil {
		return "", err
	}
	made, err := os.MkdirTemp(filepath.Dir(root), "making-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(made, 0o755); err != nil { //nolint:gosec // it is the root folder of a system
		return "", err
	}
	out, err := exec.Command("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", made).CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("debootstrap: %w: %s", err, tail(out)), os.RemoveAll(made))
	}
	if err := os.Rename(made, root); err != nil && !isFile(filepath.Join(root, "etc", "debian_version")) { // another process was faster
		return "", errors.Join(err, os.RemoveAll(made))
	}
	return root, nil
})

// Build builds an image from a file of this module, whose root is the build's context, and returns its name.
func (i *Images) Build(file, root string, args map[string]string) string {
	i.t.Helper()
	name := "localhost/" + strings.ToLower(filepath.Base(file))
	call := []string{"bud", "--quiet", "--isolation", "chroot", "--file", file, "--tag", name}
	// The build reaches what this machine reaches, by its certificates and npm's settings; neither becomes a part of the image.
	for _, path := range append([]string{"/etc/ssl/certs/ca-certificates.crt"}, npmSettings()...) {
		if isFile(path) {
			call = append(call, "--volume", path+":"+path+":ro")
		}
	}
	for key, value := range args {
		call = append(call, "--build-arg", key+"="+value)
	}
	i.buildah(append(call, root)...)
	return name
}

func npmSettings() []string {
	var files []string
	for _, which := range []string{"userconfig", "globalconfig"} {
		if file, err := ask("npm", "config", "get", which); err == nil && filepath.IsAbs(file) {
			files = append(files, file)
		}
	}
	return files
}

// Run runs a program in a fresh container of an image, as its user, and returns what it printed and how it ended.
func (i *Images) Run(image string, command ...string) (string, error) {
	i.t.Helper()
	container := i.buildah("from", image)
	defer i.buildah("rm", container)
	return i.call(append([]string{"run", "--isolation", "chroot", container, "--"}, command...)...)
}

// Inspect returns a part of an image's description, by a template as buildah has them.
func (i *Images) Inspect(image, format string) string {
	i.t.Helper()
	return i.buildah("inspect", "--type", "image", "--format", format, image)
}

func (i *Images) buildah(args ...string) string {
	i.t.Helper()
	out, err := i.call(args...)
	if err != nil {
		i.t.Fatalf("buildah %s: %v\n%s", strings.Join(args, " "), err, tail([]byte(out)))
	}
	return strings.TrimSpace(out)
}

func (i *Images) call(args ...string) (string, error) {
	cmd := exec.CommandContext(context.WithoutCancel(i.t.Context()), "buildah", append(i.storage[:len(i.storage):len(i.storage)], args...)...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	err := cmd.Run()
	if err != nil {
		return out.String() + failed.String(), err
	}
	return out.String(), nil
}

// tail is the end of a program's output.
func tail(out []byte) string {
	const most = 4 << 10
	return string(out[max(0, len(out)-most):])
}
