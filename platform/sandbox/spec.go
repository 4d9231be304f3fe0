package sandbox

import "time"

// Spec is what a request asks for. It does not change during the life of a sandbox.
type Spec struct {
	// ProjectName is shown to people and given to the app as SANDBOX_PROJECT. At most 100 bytes.
	ProjectName string `json:"projectName"`
	Source      Source `json:"source"`
	// Install and Build are shell command lines run one after the other in the project folder; each may be
	// empty.
	Install string `json:"install,omitempty"`
	Build   string `json:"build,omitempty"`
	// Dev starts a development server that listens on $PORT. Exactly one of Dev and StaticDir is set.
	Dev string `json:"dev,omitempty"`
	// StaticDir is a folder relative to the project, served as it is after the build.
	StaticDir string `json:"staticDir,omitempty"`
	// Env is given to the project's commands and to nothing else. Values never reach logs.
	Env map[string]string `json:"env,omitempty"`
}

// Source is where the files come from: exactly one of Files and ArchiveURI.
type Source struct {
	Files []File `json:"files,omitempty"`
	// ArchiveURI is a file:// or gs:// address of a .tar, .tar.gz, .tgz or .zip archive.
	ArchiveURI string `json:"archiveUri,omitempty"`
}

// File is one inline file.
type File struct {
	// Path is relative, slash-separated and inside the project.
	Path       string `json:"path"`
	Data       []byte `json:"data"`
	Executable bool   `json:"executable,omitempty"`
}

// Ref names one generation of a sandbox: its resources carry both the id and the fence.
type Ref struct {
	ID    string `json:"id"`
	Fence int64  `json:"fence"`
}

// Task is what a runtime needs to build or serve one generation.
type Task struct {
	Ref
	Spec Spec `json:"spec"`
	// ControlToken guards the live endpoints (files, commands, logs, errors) of the preview. 32 random bytes, base64url.
	ControlToken string `json:"controlToken"`
	// Deadline is when a build that has not ended is killed.
	Deadline time.Time `json:"deadline"`
}
