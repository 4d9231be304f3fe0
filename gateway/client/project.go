package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ProjectFile is the file in a project's folder that says how to run it: a [RunRequest] in JSON without source and
// request id.
const ProjectFile = "sandbox.json"

// ErrNoProject is a folder of which it is not clear how to run it.
var ErrNoProject = errors.New("how to run this folder is not clear")

// Project is a folder on this machine and how to run it.
type Project struct {
	// Dir is absolute.
	Dir     string
	Request RunRequest
}

// ReadProject looks at a folder and decides how to run it. What override sets wins. In this order:
//
//   - sandbox.json says it.
//   - package.json with a `dev` script: install with the package manager whose lock file is there (npm without one),
//     then run the script. Vite is told the host and port, because it ignores PORT.
//   - index.html: served as it is.
//
// An override of DevCommand or StaticDir is enough for any folder. Errors wrap [ErrNoProject] or say what
// is wrong with which file.
func ReadProject(dir string, override RunRequest) (Project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Project{}, err
	}
	root, err := os.OpenRoot(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Project{}, fmt.Errorf("folder %s does not exist", dir)
	case err != nil:
		return Project{}, fmt.Errorf("folder %s cannot be read: %w", dir, err)
	}
	defer func() { _ = root.Close() }() // it was only read
	files := root.FS()

	request, err := detect(files)
	if errors.Is(err, ErrNoProject) && (override.DevCommand != "" || override.StaticDir != "") {
		request, err = RunRequest{}, nil
	}
	if err != nil {
		return Project{}, fmt.Errorf("%s: %w", dir, err)
	}
	if request.ProjectName == "" {
		request.ProjectName = filepath.Base(abs)
	}
	merge(&request, override)
	return Project{Dir: abs, Request: request}, nil
}

func merge(r *RunRequest, over RunRequest) {
	for _, field := range []struct {
		to   *string
		with string
	}{
		{&r.RequestID, over.RequestID},
		{&r.ProjectName, over.ProjectName},
		{&r.InstallCommand, over.InstallCommand},
		{&r.BuildCommand, over.BuildCommand},
	} {
		if field.with != "" {
			*field.to = field.with
		}
	}
	if over.DevCommand != "" || over.StaticDir != "" { // one excludes the other
		r.DevCommand, r.StaticDir = over.DevCommand, over.StaticDir
	}
	if over.TTLSeconds != 0 {
		r.TTLSeconds = over.TTLSeconds
	}
	if over.IdleSeconds != 0 {
		r.IdleSeconds = over.IdleSeconds
	}
	if len(over.Env) > 0 && r.Env == nil {
		r.Env = map[string]string{}
	}
	for name, value := range over.Env {
		r.Env[name] = value
	}
}

func detect(files fs.FS) (RunRequest, error) {
	body, err := fs.ReadFile(files, ProjectFile)
	if err == nil {
		return readProjectFile(body)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return RunRequest{}, err
	}
	body, err = fs.ReadFile(files, "package.json")
	if err == nil {
		return readPackage(files, body)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return RunRequest{}, err
	}
	if exists(files, "index.html") {
		return RunRequest{StaticDir: "."}, nil
	}
	return RunRequest{}, fmt.Errorf("%w: it has no %s, no package.json and no index.html; say it with --dev COMMAND or --static FOLDER", ErrNoProject, ProjectFile)
}

func readProjectFile(body []byte) (RunRequest, error) {
	var r RunRequest
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: %s", ProjectFile, strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(r.Source.Files) > 0 || r.Source.ArchiveURI != "" || r.RequestID != "" {
		return r, fmt.Errorf("%s: source and requestId cannot be set there", ProjectFile)
	}
	return r, nil
}

type packageFile struct {
	Name            string            `json:"name"`
	Scripts         map[string]string `json:"scripts"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
}

func readPackage(files fs.FS, body []byte) (RunRequest, error) {
	var p packageFile
	if err := json.Unmarshal(body, &p); err != nil {
		return RunRequest{}, fmt.Errorf("package.json: %w", err)
	}
	dev := p.Scripts["dev"]
	if dev == "" {
		return RunRequest{}, fmt.Errorf("%w: its package.json has no `dev` script; say it with --dev COMMAND, or --build COMMAND --static FOLDER", ErrNoProject)
	}
	m := packageManager(files)
	r := RunRequest{ProjectName: path.Base(p.Name), DevCommand: m.name + " run dev"}
	if p.Name == "" {
		r.ProjectName = ""
	}
	if len(p.Dependencies)+len(p.DevDependencies) > 0 {
		r.InstallCommand = m.install
	}
	if usesVite(dev) {
		r.DevCommand += m.pass + " --host 127.0.0.1 --port $PORT --strictPort"
	}
	return r, nil
}

// usesVite reports whether a script starts Vite itself.
func usesVite(script string) bool {
	words := strings.Fields(script)
	for i, word := range words {
		if word == "vite" {
			rest := words[i+1:]
			return len(rest) == 0 || strings.HasPrefix(rest[0], "-") || rest[0] == "dev" || rest[0] == "serve"
		}
	}
	return false
}

// manager is a package manager: its name, how it installs, and what stands before arguments for a script.
type manager struct{ lock, name, install, pass string }

var managers = []manager{
	{"bun.lock", "bun", "bun install --frozen-lockfile", ""},
	{"bun.lockb", "bun", "bun install --frozen-lockfile", ""},
	{"pnpm-lock.yaml", "pnpm", "pnpm install --frozen-lockfile", ""},
	{"yarn.lock", "yarn", "yarn install", ""},
	{"package-lock.json", "npm", "npm ci --no-audit --no-fund", " --"},
}

func packageManager(files fs.FS) manager {
	for _, m := range managers {
		if exists(files, m.lock) {
			return m
		}
	}
	return manager{name: "npm", install: "npm install --no-audit --no-fund", pass: " --"}
}

func exists(files fs.FS, name string) bool {
	_, err := fs.Stat(files, name)
	return err == nil
}
