package testenv

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// workerdName is how skips and failures call it.
const workerdName = "workerd"

// bridgeDir is where the bridge is, below the module's root.
const bridgeDir = "infra/cloudflare/bridge"

// WorkerSpec is a Cloudflare Worker to run.
type WorkerSpec struct {
	// Entry is the script, a path below the module's root.
	Entry string
	// Objects are the Durable Objects: binding → class that Entry exports. All store in SQLite.
	Objects map[string]string
	// Vars are the bindings of text.
	Vars map[string]string
	// Dispatch are the Workers behind the binding DISPATCHER: name → script, a path below the module's root. Nil is no
	// binding.
	Dispatch map[string]string
}

// WorkerServer is a Worker that runs in workerd, with durable storage of its own.
type WorkerServer struct {
	// URL has no slash at its end. It stays the same over restarts.
	URL string

	tools *workerdTools
	mu    sync.Mutex
	spec  WorkerSpec
	port  int
	run   *owned
}

// Worker starts a Worker on a free port of the loopback interface; it ends with t, and its storage too. See the package
// comment for when the test is skipped.
func Worker(t testing.TB, spec WorkerSpec) *WorkerServer {
	t.Helper()
	skipShort(t, workerdName)
	tools, err := workerdOnce()
	require(t, workerdName, err)
	w := &WorkerServer{tools: tools, spec: spec}
	if err := w.start(); err != nil {
		t.Fatalf("%s: %s: %v", workerdName, spec.Entry, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said: %s", workerdName, w.Log())
		}
		if err := w.run.stop(); err != nil {
			t.Errorf("%s: stop: %v", workerdName, err)
		}
	})
	w.URL = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(w.port))
	return w
}

// Bridge is the bridge Worker as infra/cloudflare/bridge/wrangler.jsonc describes it.
type Bridge struct {
	*WorkerServer
	// Key is what requests are authorized with.
	Key string
}

// Workerd starts the bridge Worker; see [Worker].
func Workerd(t testing.TB) *Bridge {
	t.Helper()
	skipShort(t, workerdName)
	return BridgeWith(t, WorkerSpec{})
}

// BridgeWith starts the bridge Worker with changes: another entry, more objects and variables, a dispatcher.
func BridgeWith(t testing.TB, changes WorkerSpec) *Bridge {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	config, err := readWrangler(filepath.Join(root, filepath.FromSlash(bridgeDir), "wrangler.jsonc"))
	if err != nil {
		t.Fatal(err)
	}
	key := randomHex(32)
	spec := WorkerSpec{Entry: bridgeDir + "/" + config.Main, Objects: map[string]string{}, Vars: config.Vars, Dispatch: changes.Dispatch}
	for _, o := range config.DurableObjects.Bindings {
		spec.Objects[o.Name] = o.ClassName
	}
	spec.Vars["BRIDGE_KEY"] = key
	if changes.Entry != "" {
		spec.Entry = changes.Entry
	}
	maps.Copy(spec.Objects, changes.Objects)
	maps.Copy(spec.Vars, changes.Vars)
	return &Bridge{WorkerServer: Worker(t, spec), Key: key}
}

// Restart kills the Worker and starts it again, at the same address and with what it had stored. vars, if any, replace
// some of the variables.
func (w *WorkerServer) Restart(t testing.TB, vars map[string]string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spec.Vars = maps.Clone(w.spec.Vars)
	if w.spec.Vars == nil {
		w.spec.Vars = map[string]string{}
	}
	maps.Copy(w.spec.Vars, vars)
	if err := w.restart(); err != nil {
		t.Fatalf("%s: restart: %v", workerdName, err)
	}
}

// Log is what the running Worker has written so far.
func (w *WorkerServer) Log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.run.log()
}

func (w *WorkerServer) start() error {
	dir, err := os.MkdirTemp("", "vibesdk-testenv-")
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return w.serve(dir)
}

// restart moves the storage to a new folder while the old server still has it: what is removed with the old
// server is then no longer there, and at every moment somebody removes it.
func (w *WorkerServer) restart() error {
	dir, err := os.MkdirTemp("", "vibesdk-testenv-")
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(w.run.dir, "data"), filepath.Join(dir, "data")); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := w.run.stop(); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return w.serve(dir)
}

var listening = regexp.MustCompile(`"event":"listen","socket":"http","port":([0-9]+)`)

func (w *WorkerServer) serve(dir string) error {
	if err := w.tools.configure(dir, w.spec, w.port); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	var self *account
	server, err := startOwned(dir, self, "KILL", w.tools.workerd, "serve", "--control-fd=1", filepath.Join(dir, "config.capnp"))
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	err = server.await(startTimeout, func() bool {
		found := listening.FindStringSubmatch(server.log())
		if found == nil {
			return false
		}
		w.port, err = strconv.Atoi(found[1])
		return err == nil
	})
	if err != nil {
		return errors.Join(err, server.stop())
	}
	w.run = server
	return nil
}

// workerdOnce finds or installs what Workers need, once for each test binary.
var workerdOnce = sync.OnceValues(func() (*workerdTools, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	return newWorkerdTools(root)
})

// moduleRoot is the folder of this module: that of go.mod above the package that is tested.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if isFile(filepath.Join(dir, "go.mod")) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}

// installTimeout bounds the installation of npm packages: 300 MB, once for each machine.
const installTimeout = 10 * time.Minute
