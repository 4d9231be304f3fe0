package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var programs struct {
	sync.Mutex
	dir   string
	built map[string]error
}

// slim are the tags that the Makefile builds with: naming other tags replaces those of GOFLAGS.
const slim = "disable_grpc_modules,grpcnotrace"

// Program builds a program of this module, once for each test binary, and returns its path. name is its folder below
// cmd; tags are build tags, "" for none. The package's TestMain must end with [Main], which removes what was built.
func Program(tb testing.TB, name, tags string) string {
	tb.Helper()
	programs.Lock()
	defer programs.Unlock()
	if programs.built == nil {
		dir, err := os.MkdirTemp("", "vibesdk-programs-") //nolint:usetesting // it outlives the first test
		if err != nil {
			tb.Fatal(err)
		}
		programs.dir, programs.built = dir, map[string]error{}
	}
	path := filepath.Join(programs.dir, "tags-"+tags, name)
	err, known := programs.built[path]
	if !known {
		var out []byte
		out, err = exec.CommandContext(tb.Context(), "go", "build", "-tags", slim+","+tags, "-o", path, "vibesdk-gcp/cmd/"+name).CombinedOutput()
		if err != nil {
			tb.Logf("go build: %s", out)
		}
		programs.built[path] = err
	}
	if err != nil {
		tb.Fatalf("build %s: %v", name, err)
	}
	return path
}

// Main runs the tests of a package and removes what [Program] built for them. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	programs.Lock()
	defer programs.Unlock()
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir) // a folder left in the temporary folder is not worth a failure
	}
	return code
}
