package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// FileInfo is one entry of a listing. Paths are relative to the project, with slashes.
type FileInfo struct {
	Path       string    `json:"path"`
	Dir        bool      `json:"dir,omitempty"`
	Size       int64     `json:"size"`
	Executable bool      `json:"executable,omitempty"`
	ModifiedAt time.Time `json:"modifiedAt"`
}

// FileList is a listing, ordered by path.
type FileList struct {
	Files []FileInfo `json:"files"`
	// Truncated reports that there are more than the server lists, 10,000.
	Truncated bool `json:"truncated,omitempty"`
}

// CommandResult tells how one command went.
type CommandResult struct {
	// Command is the command line as it was given.
	Command  string `json:"command"`
	Success  bool   `json:"success"`
	ExitCode int    `json:"exitCode"`
	// Output and Error are what it printed to stdout and stderr, each cut at 1 MiB.
	Output string `json:"output"`
	Error  string `json:"error,omitempty"`
}

// LoggedError is an error that the app printed.
type LoggedError struct {
	Message string `json:"message"`
	// Level is 50 for an error, 60 for a fatal one.
	Level     int       `json:"level"`
	RawOutput string    `json:"rawOutput"`
	Count     int       `json:"count"`
	FirstAt   time.Time `json:"firstAt"`
	LastAt    time.Time `json:"lastAt"`
}

// The calls below reach into a running app. They need a sandbox that is ready and are [ErrConflict] otherwise.

// ListFiles lists the files below a folder; an empty path is the project.
func (s *Sandboxes) ListFiles(ctx context.Context, id, path string) (FileList, error) {
	query := url.Values{}
	if path != "" {
		query.Set("path", path)
	}
	var out FileList
	err := s.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "sandboxes", id, "files"}, query: query}, &out)
	return out, err
}

// ReadFile returns a file's content, up to 10 MiB.
func (s *Sandboxes) ReadFile(ctx context.Context, id, path string) ([]byte, error) {
	resp, err := s.c.do(ctx, call{method: http.MethodGet, path: filePath(id, path)})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// WriteFile makes or replaces a file of up to 10 MiB, in one step for the app.
func (s *Sandboxes) WriteFile(ctx context.Context, id, path string, data []byte) error {
	return s.c.json(ctx, call{
		method: http.MethodPut, path: filePath(id, path), kind: "application/octet-stream",
		body: func() (io.Reader, error) { return bytes.NewReader(data), nil },
	}, nil)
}

// DeleteFile removes a file or, with recursive, a folder. Of a file that is not there it is ErrNotFound.
func (s *Sandboxes) DeleteFile(ctx context.Context, id, path string, recursive bool) error {
	query := url.Values{}
	if recursive {
		query.Set("recursive", "1")
	}
	return s.c.json(ctx, call{method: http.MethodDelete, path: filePath(id, path), query: query}, nil)
}

// Exec runs command lines one after the other in one shell session in the project's folder, within timeout
// together (0: a minute; at most 10). A command that fails is a result, not an error. It is called once: a command may
// not do the same twice.
func (s *Sandboxes) Exec(ctx context.Context, id string, commands []string, timeout time.Duration) ([]CommandResult, error) {
	var out struct {
		Results []CommandResult `json:"results"`
	}
	err := s.c.json(ctx, call{
		method: http.MethodPost, path: []string{"v1", "sandboxes", id, "commands"}, once: true,
		body: jsonBody(struct {
			Commands       []string `json:"commands"`
			TimeoutSeconds float64  `json:"timeoutSeconds,omitempty"`
		}{commands, timeout.Seconds()}),
	}, &out)
	return out.Results, err
}

// Errors returns the errors that the app printed, newest first.
func (s *Sandboxes) Errors(ctx context.Context, id string) ([]LoggedError, error) {
	var out struct {
		Errors []LoggedError `json:"errors"`
	}
	err := s.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "sandboxes", id, "errors"}}, &out)
	return out.Errors, err
}

// ClearErrors forgets the errors that the app printed so far.
func (s *Sandboxes) ClearErrors(ctx context.Context, id string) error {
	return s.c.json(ctx, call{method: http.MethodDelete, path: []string{"v1", "sandboxes", id, "errors"}}, nil)
}

func filePath(id, path string) []string {
	return append([]string{"v1", "sandboxes", id, "files"}, strings.Split(strings.Trim(path, "/"), "/")...)
}
