package testenv

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func post(t *testing.T, url, body string) string {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", response.Status, answer, err)
	}
	return string(answer)
}

func TestWorkersAreFreshAndDurable(t *testing.T) {
	t.Parallel()
	spec := WorkerSpec{Entry: bridgeDir + "/test/counter.ts", Objects: map[string]string{"COUNTER": "CounterObject"}}
	one, two := Worker(t, spec), Worker(t, spec)
	for _, want := range []string{"1", "2", "3"} {
		if got := post(t, one.URL+"/a", `{"x":1}`); got != want {
			t.Fatalf("counted %s, want %s", got, want)
		}
	}
	if got := post(t, two.URL+"/a", `{}`); got != "1" {
		t.Errorf("another Worker counted %s, want 1", got)
	}
	url := one.URL
	for _, want := range []string{"4", "5"} {
		one.Restart(t, nil)
		if got := post(t, url+"/a", `{}`); got != want {
			t.Errorf("after a restart it counted %s, want %s", got, want)
		}
	}
}

// TestBridgeTypes runs the TypeScript compiler over the bridge and its test Workers.
func TestBridgeTypes(t *testing.T) {
	t.Parallel()
	skipShort(t, workerdName)
	tools, err := workerdOnce()
	require(t, workerdName, err)
	dir := t.TempDir()
	bridge := filepath.Join(tools.root, filepath.FromSlash(bridgeDir))
	for _, name := range []string{"src", "test", "tsconfig.json"} {
		if err := os.Symlink(filepath.Join(bridge, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(tools.modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(tools.modules, ".bin", "tsc"), "--noEmit", "--preserveSymlinks", "-p", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}

func TestQuoteEscapes(t *testing.T) {
	t.Parallel()
	if got, want := quote("a \"b\" \\ \n é"), `"a \x22b\x22 \x5c \x0a \xc3\xa9"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
