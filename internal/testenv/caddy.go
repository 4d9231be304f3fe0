package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vibesdk-gcp/internal/filelock"
)

// caddyVersion is what benchmarks compare with.
const caddyVersion = "v2.11.9"

// Caddy returns the program of the Caddy web server, built from the Go module proxy when this machine has it not yet: that takes
// some minutes, once for each machine. false says why in the log of t: no network, mostly.
func Caddy(t testing.TB) (binary string, ok bool) {
	t.Helper()
	skipShort(t, "Caddy")
	binary, err := caddyOnce()
	if err != nil {
		t.Logf("no Caddy: %v", err)
		return "", false
	}
	return binary, true
}

var caddyOnce = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "vibesdk-gcp", "caddy-"+caddyVersion)
	binary := filepath.Join(dir, "caddy")
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	lock, err := filelock.Wait(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer lock.Release() //nolint:errcheck // it ends with the process at the latest
	if isFile(binary) {
		return binary, nil
	}
	// Not part of this module: its dependencies must not become ours.
	build := exec.CommandContext(ctx, "go", "install", "github.com/caddyserver/caddy/v2/cmd/caddy@"+caddyVersion)
	build.Dir = os.TempDir()
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "GOFLAGS=") { // its tags are ours
			build.Env = append(build.Env, entry)
		}
	}
	build.Env = append(build.Env, "GOBIN="+dir, "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: go install of Caddy %s: %w: %s", errMissing, caddyVersion, err, out[max(0, len(out)-1000):])
	}
	return binary, nil
})
