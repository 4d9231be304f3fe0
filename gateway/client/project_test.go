package client_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/gateway/client"
)

// folder writes files below a new folder of a known name.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadProject(t *testing.T) {
	t.Parallel()
	const (
		npmVite = "npm run dev -- --host 127.0.0.1 --port $PORT --strictPort"
		bunVite = "bun run dev --host 127.0.0.1 --port $PORT --strictPort"
	)
	for name, c := range map[string]struct {
		files    map[string]string
		override client.RunRequest
		want     client.RunRequest
	}{
		"plain page": {
			files: map[string]string{"index.html": "hi"},
			want:  client.RunRequest{ProjectName: "site", StaticDir: "."},
		},
		"project file wins over package.json": {
			files: map[string]string{"sandbox.json": `{"projectName":"mine","buildCommand":"make","staticDir":"out","env":{"A":"1"},"ttlSeconds":60}`, "package.json": `{"scripts":{"dev":"vite"}}`},
			want:  client.RunRequest{ProjectName: "mine", BuildCommand: "make", StaticDir: "out", Env: map[string]string{"A": "1"}, TTLSeconds: 60},
		},
		"vite with npm lock": {
			files: map[string]string{"package.json": `{"name":"@me/shop","scripts":{"dev":"vite"},"devDependencies":{"vite":"7"}}`, "package-lock.json": "{}"},
			want:  client.RunRequest{ProjectName: "shop", InstallCommand: "npm ci --no-audit --no-fund", DevCommand: npmVite},
		},
		"vite with options and no lock": {
			files: map[string]string{"package.json": `{"scripts":{"dev":"NODE_ENV=x vite --debug"},"dependencies":{"vite":"7"}}`},
			want:  client.RunRequest{ProjectName: "site", InstallCommand: "npm install --no-audit --no-fund", DevCommand: npmVite},
		},
		"bun": {
			files: map[string]string{"package.json": `{"scripts":{"dev":"vite"},"dependencies":{"vite":"7"}}`, "bun.lock": ""},
			want:  client.RunRequest{ProjectName: "site", InstallCommand: "bun install --frozen-lockfile", DevCommand: bunVite},
		},
		"no dependencies, no vite": {
			files: map[string]string{"package.json": `{"scripts":{"dev":"node server.js"}}`},
			want:  client.RunRequest{ProjectName: "site", DevCommand: "npm run dev"},
		},
		"vite build is not a server": {
			files: map[string]string{"package.json": `{"scripts":{"dev":"vite build --watch"}}`},
			want:  client.RunRequest{ProjectName: "site", DevCommand: "npm run dev"},
		},
		"overrides": {
			files:    map[string]string{"sandbox.json": `{"devCommand":"x","env":{"A":"1","B":"2"}}`},
			override: client.RunRequest{ProjectName: "other", RequestID: "r", InstallCommand: "i", BuildCommand: "b", StaticDir: "s", Env: map[string]string{"B": "3"}, TTLSeconds: 7, IdleSeconds: 8},
			want:     client.RunRequest{ProjectName: "other", RequestID: "r", InstallCommand: "i", BuildCommand: "b", StaticDir: "s", Env: map[string]string{"A": "1", "B": "3"}, TTLSeconds: 7, IdleSeconds: 8},
		},
		"an override is enough": {
			files:    map[string]string{"main.go": "package main"},
			override: client.RunRequest{DevCommand: "go run ."},
			want:     client.RunRequest{ProjectName: "site", DevCommand: "go run ."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, c.files)
			got, err := client.ReadProject(dir, c.override)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(client.Project{Dir: dir, Request: c.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadProjectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing known":          {map[string]string{"main.go": ""}, "no sandbox.json, no package.json and no index.html"},
		"no dev script":          {map[string]string{"package.json": `{"scripts":{"build":"x"}}`}, "no `dev` script"},
		"bad package.json":       {map[string]string{"package.json": `{`}, "package.json: "},
		"unknown field":          {map[string]string{"sandbox.json": `{"build":"make"}`}, `sandbox.json: unknown field "build"`},
		"source in project file": {map[string]string{"sandbox.json": `{"source":{"archiveUri":"file:///etc"}}`}, "cannot be set there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := client.ReadProject(folder(t, c.files), client.RunRequest{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if _, err := client.ReadProject("no/such/folder", client.RunRequest{}); err == nil || err.Error() != "folder no/such/folder does not exist" {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := client.ReadProject(folder(t, nil), client.RunRequest{}); !errors.Is(err, client.ErrNoProject) {
		t.Errorf("empty folder: %v, want ErrNoProject", err)
	}
}
