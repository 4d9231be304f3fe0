package testenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"vibesdk-gcp/internal/filelock"
)

// workerdTools are the programs that build and run Workers.
type workerdTools struct {
	root, modules    string
	workerd, esbuild string
	wrangler         wrangler

	mu     sync.Mutex
	bundle map[string][]byte // by entry
}

// newWorkerdTools installs the packages of the bridge's lock file, unless this machine has them already.
func newWorkerdTools(root string) (*workerdTools, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w: no %s in PATH; install Node.js 20 or later", errMissing, program)
		}
	}
	bridge := filepath.Join(root, filepath.FromSlash(bridgeDir))
	config, err := readWrangler(filepath.Join(bridge, "wrangler.jsonc"))
	if err != nil {
		return nil, err
	}
	modules, err := nodeModules(bridge)
	if err != nil {
		return nil, err
	}
	t := &workerdTools{root: root, modules: modules, wrangler: config, bundle: map[string][]byte{}}
	// The packages of the programs are named after the platform, and only one of each is installed.
	for _, p := range []struct {
		path    *string
		pattern string
	}{{&t.workerd, "@cloudflare/workerd-*/bin/workerd"}, {&t.esbuild, "@esbuild/*/bin/esbuild"}} {
		found, err := filepath.Glob(filepath.Join(modules, filepath.FromSlash(p.pattern)))
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%w: %s matches %d files", errMissing, p.pattern, len(found))
		}
		*p.path = found[0]
	}
	return t, nil
}

// nodeModules returns a folder with the packages of a lock file. It is kept in the user's cache, so that tests need the
// network once.
func nodeModules(project string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errMissing, err)
	}
	files := []string{"package.json", "package-lock.json", ".npmrc"}
	hash := sha256.New()
	for _, name := range files {
		body, err := os.ReadFile(filepath.Join(project, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(body), body)
	}
	fmt.Fprintf(hash, "%s/%s", runtime.GOOS, runtime.GOARCH)
	dir := filepath.Join(cache, "vibesdk-gcp", "node-"+hex.EncodeToString(hash.Sum(nil))[:16])
	modules := filepath.Join(dir, "node_modules")

	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	lock, err := filelock.Wait(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer lock.Release() //nolint:errcheck // it ends with the process at the latest
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "installing-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh) //nolint:errcheck // what is left of it is in a cache
	for _, name := range files {
		body, err := os.ReadFile(filepath.Join(project, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(fresh, name), body, 0o600); err != nil {
			return "", err
		}
	}
	// Not `npm ci`: it insists on the packages of every platform, and the lock file has those that were to be had.
	install := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--no-save")
	install.Dir = fresh
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: npm install of %s: %w: %s", errMissing, filepath.Base(project), err, out[max(0, len(out)-1000):])
	}
	return modules, os.Rename(fresh, dir)
}

// build returns the script of an entry with all that it imports.
func (t *workerdTools) build(entry string) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if script, ok := t.bundle[entry]; ok {
		return script, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.esbuild, filepath.Join(t.root, filepath.FromSlash(entry)), "--bundle", "--format=esm", "--target=es2024",
		"--platform=node", "--conditions=workerd,worker,import", "--external:cloudflare:*", "--external:node:*", "--log-level=error")
	cmd.Env = append(childEnv(), "NODE_PATH="+t.modules)
	script, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("esbuild %s: %w", entry, err)
	}
	t.bundle[entry] = script
	return script, nil
}
