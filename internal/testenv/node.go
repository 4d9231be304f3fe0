package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// NodeProject returns a copy of a folder of scripts with the packages of its lock file installed beside them. dir is relative to
// the test's folder and has package.json, package-lock.json and .npmrc. The packages are kept in the user's cache, so that
// tests need the network once. See the package comment for when the test is skipped.
func NodeProject(t testing.TB, dir string) string {
	t.Helper()
	const backend = "node"
	skipShort(t, backend)
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			require(t, backend, fmt.Errorf("%w: no %s in PATH; install Node.js 20 or later", errMissing, program))
		}
	}
	modules, err := nodeModules(dir)
	require(t, backend, err)
	project := t.TempDir()
	if err := os.CopyFS(project, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(project, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return project
}
