package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// repository is the folder of the module, from this package's.
const repository = "../.."

// TestCommittedFilesAreCurrent is `make verify` for whoever runs only the tests.
func TestCommittedFilesAreCurrent(t *testing.T) {
	needsToBuildThePlugin(t)
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--root", repository, "--check"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}

// TestGenerateThenCheck runs the program on a copy of the sources.
func TestGenerateThenCheck(t *testing.T) {
	needsToBuildThePlugin(t)
	t.Parallel()
	root := t.TempDir()
	sources, err := filepath.Glob(filepath.Join(repository, protoDir, "*.proto"))
	if err != nil || len(sources) < 3 {
		t.Fatalf("found sources %v (%v)", sources, err)
	}
	for _, file := range append(sources, filepath.Join(repository, schedules), filepath.Join(repository, "go.mod"), filepath.Join(repository, "go.sum")) {
		rel, err := filepath.Rel(repository, file)
		if err != nil {
			t.Fatal(err)
		}
		put(t, root, rel, string(get(t, file)))
	}
	before := tree(t, root)
	program := func(args ...string) (code int, output string) {
		var both bytes.Buffer
		code = run(t.Context(), append([]string{"--root", root}, args...), &both, &both)
		return code, both.String()
	}

	code, output := program("--check")
	generated := []string{schedulesCopy, topicsFile,
		"schemas/gen/agent_callback.pb.go", "schemas/gen/cleanup_tick.pb.go", "schemas/gen/sandbox_request.pb.go", "schemas/gen/state_mutation.pb.go"}
	for _, file := range generated {
		if !strings.Contains(output, file+" is missing") {
			t.Errorf("--check does not name %s: %s", file, output)
		}
	}
	if code != 1 || strings.Count(output, "\n") != len(generated) {
		t.Errorf("--check exits with %d and says %q, want 1 and %d lines", code, output, len(generated))
	}
	if diff := cmp.Diff(before, tree(t, root)); diff != "" {
		t.Fatalf("--check changed files:\n%s", diff)
	}

	if code, output := program(); code != 0 {
		t.Fatalf("exit code %d: %s", code, output)
	}
	for _, file := range generated {
		if !bytes.Equal(get(t, filepath.Join(root, file)), get(t, filepath.Join(repository, file))) {
			t.Errorf("%s is not what is committed", file)
		}
	}
	if code, output := program("--check"); code != 0 || output != "" {
		t.Errorf("--check after generating exits with %d: %s", code, output)
	}

	put(t, root, topicsFile, "{}")
	put(t, root, "schemas/gen/gone.pb.go", "package gen")
	code, output = program("--check")
	want := topicsFile + " is out of date: run `make generate`\nschemas/gen/gone.pb.go has no .proto any more: run `make generate`\n"
	if diff := cmp.Diff(want, output); code != 1 || diff != "" {
		t.Errorf("--check exits with %d (-want +got)\n%s", code, diff)
	}
	if code, output := program(); code != 0 {
		t.Fatalf("exit code %d: %s", code, output)
	}
	if code, output := program("--check"); code != 0 {
		t.Errorf("generating again did not mend all: %s", output)
	}
}

func TestFaultsAreNamed(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--root", t.TempDir()}, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "holds no .proto file") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if code := run(t.Context(), []string{"--chekc"}, &stdout, &stderr); code != 2 {
		t.Errorf("an unknown flag exits with %d, want 2", code)
	}
}

// needsToBuildThePlugin skips where seconds count.
func needsToBuildThePlugin(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds protoc-gen-go")
	}
}

func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[file] = string(get(t, file))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("%s is empty: %v", root, slices.Collect(maps.Keys(files)))
	}
	return files
}

func get(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t *testing.T, root, name, content string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
