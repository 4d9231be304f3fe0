package sandbox

import "time"

// LiveStatus is the answer of the live endpoint `status`.
type LiveStatus struct {
	GuestStatus
	// Healthy reports that the app answers now: a development server that is being started again does not.
	Healthy bool `json:"healthy"`
	// Restarts counts how often the development server was started again.
	Restarts int `json:"restarts"`
}

// FileQuery selects files of a listing.
type FileQuery struct {
	// Path is the folder to list, relative to the project; empty is the project.
	Path string
	// Glob selects files by their path relative to the project: * and ? within a part, ** for any parts.
	Glob string
	// All lists node_modules and .git too.
	All bool
}

// FileInfo is one entry of a listing.
type FileInfo struct {
	// Path is relative to the project, with slashes.
	Path string `json:"path"`
	// Dir tells a folder; folders are not listed when a glob is asked for.
	Dir bool `json:"dir,omitempty"`
	// Size is in bytes.
	Size       int64     `json:"size"`
	Executable bool      `json:"executable,omitempty"`
	ModifiedAt time.Time `json:"modifiedAt"`
}

// FileList is a listing, ordered by path.
type FileList struct {
	Files []FileInfo `json:"files"`
	// Truncated reports that there are more than ControlListLimit.
	Truncated bool `json:"truncated,omitempty"`
}

// FileBatch is the body of `POST files`. A caller that is not Go may give Content, text, instead of Data,
// base64.
type FileBatch struct {
	Files []File `json:"files"`
}

// FileResult tells how writing one file of a batch went.
type FileResult struct {
	Path    string `json:"path"`
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
}

// FileResults is the answer to a [FileBatch], in its order.
type FileResults struct {
	Results []FileResult `json:"results"`
}

// CommandBatch is the body of `POST commands`.
type CommandBatch struct {
	Commands []string `json:"commands"`
	// TimeoutSeconds bounds the whole batch.
	TimeoutSeconds float64 `json:"timeoutSeconds,omitempty"`
}

// CommandResult tells how one command went.
type CommandResult struct {
	// Command is the command line as it was given, byte for byte.
	Command string `json:"command"`
	// Success is ExitCode 0.
	Success  bool `json:"success"`
	ExitCode int  `json:"exitCode"`
	// Output is what it printed to stdout, Error to stderr, each at most ControlOutputLimit with a note at the
	// end when it was more. Values of the app's environment are masked as in logs.
	Output string `json:"output"`
	Error  string `json:"error,omitempty"`
}

// Exit codes of commands that did not end by themselves, as timeout(1) and shells use them.
const (
	ExitTimedOut = 124
	ExitNotRun   = 125
)

// CommandResults is the answer to a [CommandBatch], one for each command in its order.
type CommandResults struct {
	Results []CommandResult `json:"results"`
}

// LoggedError is an error that the app printed. Errors that differ only in digits are one.
type LoggedError struct {
	Message string `json:"message"`
	// Level is pino's: 50 is an error, 60 is fatal.
	Level int `json:"level"`
	// RawOutput is what was printed last for it, with the lines of the stack trace, at most 8 KiB.
	RawOutput string    `json:"rawOutput"`
	Count     int       `json:"count"`
	FirstAt   time.Time `json:"firstAt"`
	LastAt    time.Time `json:"lastAt"`
}

// LoggedErrors is the answer of the live endpoint `errors`, newest first.
type LoggedErrors struct {
	Errors []LoggedError `json:"errors"`
}
