package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// ControlPrefix begins the path of every live endpoint of a guest. A router must refuse it from outside.
const ControlPrefix = "/.sandbox/v1/"

// Limits of the live endpoints. The guest refuses what is larger; Control does so before sending.
const (
	ControlFileLimit     = 10 << 20         // bytes of one file
	ControlBatchLimit    = 64 << 20         // bytes of one batch of files as sent
	ControlBatchFiles    = 1000             // files of one batch
	ControlListLimit     = 10_000           // entries of one listing
	ControlCommands      = 50               // commands of one call
	ControlCommandLimit  = 64 << 10         // bytes of one command
	ControlOutputLimit   = 1 << 20          // bytes kept of each of a command's two outputs
	ControlErrorLimit    = 100              // errors kept
	ControlTimeoutLimit  = 10 * time.Minute // of one call of commands
	ControlTimeoutChosen = time.Minute      // when a call names none
)

// Control calls the live endpoints of one guest: files, commands, logs and errors of a running preview. It is
// safe for concurrent use. Every error is or wraps a *[ControlError], or wraps [ErrUnavailable] when the
// guest was not reached; the token is in none.
type Control struct {
	base   string
	token  string
	client *http.Client
}

// NewControl returns a Control for the guest at endpoint, host:port or an http(s) URL without a path, which
// asks for the control token of the same generation. A nil client is http.DefaultClient; its timeout, if it
// has one, also ends streams.
func NewControl(endpoint, token string, client *http.Client) *Control {
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	if client == nil {
		client = http.DefaultClient
	}
	return &Control{strings.TrimSuffix(endpoint, "/") + ControlPrefix, token, client}
}

// Status returns what the guest says about itself and the app.
func (c *Control) Status(ctx context.Context) (LiveStatus, error) {
	var s LiveStatus
	err := c.json(ctx, http.MethodGet, "status", nil, nil, &s)
	return s, err
}

// ListFiles lists the files below a folder of the project.
func (c *Control) ListFiles(ctx context.Context, q FileQuery) (FileList, error) {
	values := url.Values{}
	if q.Path != "" {
		values.Set("path", q.Path)
	}
	if q.Glob != "" {
		values.Set("glob", q.Glob)
	}
	if q.All {
		values.Set("all", "1")
	}
	var list FileList
	err := c.json(ctx, http.MethodGet, "files", values, nil, &list)
	return list, err
}

// ReadFile returns a file's content. ErrFileNotFound, ErrTooLarge beyond ControlFileLimit.
func (c *Control) ReadFile(ctx context.Context, name string) ([]byte, error) {
	address, err := filePath(name)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodGet, address, nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, ControlFileLimit+1))
	switch {
	case err != nil:
		return nil, unreachable(err)
	case len(body) > ControlFileLimit:
		return nil, &ControlError{http.StatusRequestEntityTooLarge, fmt.Sprintf("file %s is larger than %d bytes", name, ControlFileLimit)}
	}
	return body, nil
}

// WriteFile replaces or makes one file, in one step for every reader. The mode of a file that exists is
// kept, unless Executable asks for more. A symbolic link of that name is replaced, not followed.
func (c *Control) WriteFile(ctx context.Context, f File) error {
	if len(f.Data) > ControlFileLimit {
		return &ControlError{http.StatusRequestEntityTooLarge, fmt.Sprintf("file %s is larger than %d bytes", f.Path, ControlFileLimit)}
	}
	values := url.Values{}
	if f.Executable {
		values.Set("executable", "1")
	}
	address, err := filePath(f.Path)
	if err != nil {
		return err
	}
	return c.json(ctx, http.MethodPut, address, values, bytes.NewReader(f.Data), nil)
}

// DeleteFile removes a file or an empty folder; with recursive, a folder and all below. ErrFileNotFound.
func (c *Control) DeleteFile(ctx context.Context, name string, recursive bool) error {
	values := url.Values{}
	if recursive {
		values.Set("recursive", "1")
	}
	address, err := filePath(name)
	if err != nil {
		return err
	}
	return c.json(ctx, http.MethodDelete, address, values, nil, nil)
}

// WriteFiles writes many files and tells for each how it went. The error is about the call as a whole.
func (c *Control) WriteFiles(ctx context.Context, files []File) ([]FileResult, error) {
	if len(files) > ControlBatchFiles {
		return nil, &ControlError{http.StatusRequestEntityTooLarge, fmt.Sprintf("a batch has at most %d files", ControlBatchFiles)}
	}
	var answer FileResults
	err := c.post(ctx, "files", FileBatch{files}, &answer)
	return answer.Results, err
}

// Run runs shell command lines one after the other in one shell session, which starts in the project folder
// and ends with the call. timeout bounds them together; zero is ControlTimeoutChosen, and it is cut to
// ControlTimeoutLimit. A command that fails is not an error and does not stop those after it; a timeout
// does.
func (c *Control) Run(ctx context.Context, commands []string, timeout time.Duration) ([]CommandResult, error) {
	var answer CommandResults
	err := c.post(ctx, "commands", CommandBatch{commands, timeout.Seconds()}, &answer)
	return answer.Results, err
}

// Logs streams what a phase printed from byte offset on, as plain text. With follow it goes on until the
// guest stops or ctx ends. Of the running phase only the last 4 MiB are kept: a smaller offset begins there.
func (c *Control) Logs(ctx context.Context, phase Phase, offset int64, follow bool) (io.ReadCloser, error) {
	values := url.Values{"phase": {string(phase)}, "offset": {strconv.FormatInt(offset, 10)}}
	if follow {
		values.Set("follow", "1")
	}
	resp, err := c.do(ctx, http.MethodGet, "logs", values, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Errors returns the errors that the app printed, newest first, at most ControlErrorLimit. Reading does not
// clear them.
func (c *Control) Errors(ctx context.Context) ([]LoggedError, error) {
	var answer LoggedErrors
	err := c.json(ctx, http.MethodGet, "errors", nil, nil, &answer)
	return answer.Errors, err
}

// ClearErrors forgets the errors seen so far.
func (c *Control) ClearErrors(ctx context.Context) error {
	return c.json(ctx, http.MethodDelete, "errors", nil, nil, nil)
}

func (c *Control) post(ctx context.Context, name string, body, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.json(ctx, http.MethodPost, name, nil, bytes.NewReader(encoded), into)
}

func (c *Control) json(ctx context.Context, method, name string, query url.Values, body io.Reader, into any) error {
	resp, err := c.do(ctx, method, name, query, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // lets the connection be used again
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return unreachable(fmt.Errorf("decode the answer: %w", err))
	}
	return nil
}

func (c *Control) do(ctx context.Context, method, name string, query url.Values, body io.Reader) (*http.Response, error) {
	address := c.base + name
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		if method == http.MethodPut {
			req.Header.Set("Content-Type", "application/octet-stream")
		}
	}
	resp, err := c.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, unreachable(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readControlError(resp)
}

// filePath returns the address of a file. A path that would change on its way as a URL is refused here.
func filePath(name string) (string, error) {
	clean := path.Clean(name)
	if name == "" || clean == "." || !fs.ValidPath(clean) {
		return "", &ControlError{http.StatusBadRequest, fmt.Sprintf("path %q is not the path of a file in the project", name)}
	}
	parts := strings.Split(clean, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return "files/" + strings.Join(parts, "/"), nil
}

func unreachable(err error) error {
	// Of an url.Error only the cause: the address is the platform's business.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("%w: live endpoint: %w", ErrUnavailable, err)
}
