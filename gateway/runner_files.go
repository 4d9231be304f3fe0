package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"vibesdk-gcp/platform/sandbox"
)

// Files of a project that rule over others: JSON arrays of paths.
const (
	importantList = ".important_files.json" // answered when no path is named; an entry may be a folder
	redactedList  = ".redacted_files.json"  // answered as redactedText
	lockedList    = ".donttouch_files.json" // never written
)

const (
	redactedText = "[REDACTED]"
	lockedText   = "the project does not allow to change this file"
	// maxImportant, maxImportantFile and maxImportantBytes bound the answer when no path is named.
	maxImportant      = 200
	maxImportantFile  = 256 << 10 // bytes
	maxImportantBytes = 4 << 20
	// maxNamed bounds the paths of one call, and maxNamedBytes their contents.
	maxNamed      = 2000
	maxNamedBytes = 64 << 20
	// commitWithin bounds a Git commit.
	commitWithin = 30 * time.Second
)

// InstanceFiles answers a call for files.
type InstanceFiles struct {
	Outcome

	Files  []instanceFile      `json:"files"`
	Errors []InstanceFileError `json:"errors,omitempty"`
}

// InstanceFileError is a file that was asked for and cannot be read.
type InstanceFileError struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

func (g *Gateway) getInstanceFiles(w http.ResponseWriter, r *http.Request) error {
	names, err := namedFiles(r.URL.Query().Get("filePaths"))
	if err != nil {
		return err
	}
	_, control, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	redacted, err := pathList(r.Context(), control, redactedList)
	if err != nil {
		return lostGuest(err)
	}
	answer := InstanceFiles{Outcome: Outcome{Success: true}, Files: []instanceFile{}}
	if names == nil {
		err = answer.addImportant(r.Context(), control, redacted)
	} else {
		err = answer.addNamed(r.Context(), control, names, redacted)
	}
	if err != nil {
		return lostGuest(err)
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// namedFiles reads the paths of a query, nil when it names none.
func namedFiles(query string) ([]string, error) {
	if query == "" {
		return nil, nil
	}
	names := []string{}
	if err := json.Unmarshal([]byte(query), &names); err != nil {
		return nil, badRequest("filePaths must be a JSON array of paths, encoded for an address")
	}
	if len(names) > maxNamed {
		return nil, badRequest(fmt.Sprintf("filePaths has %d paths, the limit is %d", len(names), maxNamed))
	}
	if names == nil { // null
		names = []string{}
	}
	return names, nil
}

// pathList reads one of the lists. One that is missing, or is not the JSON expected, is empty: a project may hold
// anything.
func pathList(ctx context.Context, control *sandbox.Control, name string) ([]string, error) {
	body, err := control.ReadFile(ctx, name)
	if err != nil {
		if errors.Is(err, sandbox.ErrUnavailable) || errors.Is(err, sandbox.ErrUnauthorized) || ctx.Err() != nil {
			return nil, err
		}
		return nil, nil
	}
	return parsePathList(body), nil
}

func parsePathList(body []byte) []string {
	var given []string
	if json.Unmarshal(body, &given) != nil {
		return nil
	}
	var paths []string
	for _, name := range given {
		if clean, err := instancePath(name); err == nil {
			paths = append(paths, clean)
		}
	}
	return paths
}

func (a *InstanceFiles) addNamed(ctx context.Context, control *sandbox.Control, names, redacted []string) error {
	total := 0
	for _, name := range names {
		clean, err := instancePath(name)
		var body []byte
		if err == nil && slices.Contains(redacted, clean) {
			body = []byte(redactedText)
		} else if err == nil {
			body, err = control.ReadFile(ctx, clean)
		}
		if err != nil && (errors.Is(err, sandbox.ErrUnavailable) || errors.Is(err, sandbox.ErrUnauthorized) || ctx.Err() != nil) {
			return err
		}
		if total += len(body); err == nil && total > maxNamedBytes {
			err = fmt.Errorf("the files before it hold %d bytes already, the limit of one call", maxNamedBytes)
		}
		if err != nil {
			a.Errors = append(a.Errors, InstanceFileError{File: name, Error: err.Error()})
			continue
		}
		a.Files = append(a.Files, instanceFile{FilePath: name, FileContents: strings.ToValidUTF8(string(body), "\uFFFD")})
	}
	return nil
}

// addImportant adds what the project's list of important files names, or else all small files of text.
func (a *InstanceFiles) addImportant(ctx context.Context, control *sandbox.Control, redacted []string) error {
	important, err := pathList(ctx, control, importantList)
	if err != nil {
		return err
	}
	list, err := control.ListFiles(ctx, sandbox.FileQuery{})
	if err != nil {
		return err
	}
	total := 0
	for _, info := range list.Files {
		if info.Dir || info.Size > maxImportantFile || !wanted(info.Path, important) {
			continue
		}
		body := []byte(redactedText)
		if !slices.Contains(redacted, info.Path) {
			body, err = control.ReadFile(ctx, info.Path)
			if errors.Is(err, sandbox.ErrFileNotFound) || errors.Is(err, sandbox.ErrInvalid) {
				continue // gone meanwhile, or a link
			}
			if err != nil {
				return err
			}
		}
		if !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
			continue
		}
		if total += len(body); len(a.Files) == maxImportant || total > maxImportantBytes {
			return nil
		}
		a.Files = append(a.Files, instanceFile{FilePath: info.Path, FileContents: string(body)})
	}
	return nil
}

// generated are files that a tool writes and nobody reads.
var generated = []string{"package-lock.json", "bun.lock", "bun.lockb", "yarn.lock", "pnpm-lock.yaml", ".dev.vars"}

func wanted(name string, important []string) bool {
	if important == nil {
		return !slices.Contains(generated, path.Base(name))
	}
	return slices.ContainsFunc(important, func(entry string) bool {
		return name == entry || strings.HasPrefix(name, entry+"/")
	})
}

// InstanceWrites answers a call that wrote files, in its order.
type InstanceWrites struct {
	Outcome

	Results []InstanceWrite `json:"results"`
}

// InstanceWrite tells how writing one file went.
type InstanceWrite struct {
	File    string `json:"file"`
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
}

// instanceWriteRequest is the body of a call that writes files, and commits them when there is a message.
type instanceWriteRequest struct {
	Files         []instanceFile `json:"files"`
	CommitMessage string         `json:"commitMessage,omitempty"`
}

// writeInstanceFiles writes what may be written. The call succeeds also when single files fail; their results say so.
func (g *Gateway) writeInstanceFiles(w http.ResponseWriter, r *http.Request) error {
	var asked instanceWriteRequest
	if err := readInstanceBody(w, r, &asked); err != nil {
		return err
	}
	_, control, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	results, err := writeInstance(r.Context(), control, asked.Files)
	if err != nil {
		return lostGuest(err)
	}
	written := 0
	for _, result := range results {
		if result.Success {
			written++
		}
	}
	message := fmt.Sprintf("wrote %d of %d files", written, len(results))
	if asked.CommitMessage != "" && written > 0 {
		message += "; " + g.commit(r.Context(), control, asked.CommitMessage)
	}
	writeJSON(w, http.StatusOK, InstanceWrites{Outcome: Outcome{Success: true, Message: message}, Results: results})
	return nil
}

// writeInstance writes files in batches that the guest takes.
func writeInstance(ctx context.Context, control *sandbox.Control, files []instanceFile) ([]InstanceWrite, error) {
	locked, err := pathList(ctx, control, lockedList)
	if err != nil {
		return nil, err
	}
	results := make([]InstanceWrite, len(files))
	var batch []sandbox.File
	var places []int // of the batch in results
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		done, err := control.WriteFiles(ctx, batch)
		if err != nil {
			return err
		}
		for i, one := range done {
			results[places[i]].Success, results[places[i]].Error = one.Success, one.Error
		}
		batch, places, size = nil, nil, 0
		return nil
	}
	for i, f := range files {
		results[i].File = f.FilePath
		clean, err := instancePath(f.FilePath)
		switch {
		case err != nil:
			results[i].Error = err.Error()
			continue
		case slices.Contains(locked, clean):
			results[i].Error = lockedText
			continue
		}
		const fits = sandbox.ControlBatchLimit / 2 // base64 and paths come on top
		if size += len(f.FileContents); len(batch) == sandbox.ControlBatchFiles || size > fits && len(batch) > 0 {
			if err := flush(); err != nil {
				return nil, err
			}
			size = len(f.FileContents)
		}
		batch, places = append(batch, sandbox.File{Path: clean, Data: []byte(f.FileContents)}), append(places, i)
	}
	return results, flush()
}

// commit commits all changes if the project is a Git repository, and says what came of it.
func (g *Gateway) commit(ctx context.Context, control *sandbox.Control, message string) string {
	results, err := control.Run(ctx, []string{"command -v git >/dev/null && [ -e .git ]", commitCommand(message, "", "")}, commitWithin)
	switch {
	case err != nil:
		g.log.WarnContext(ctx, "a commit was not made", "error", err)
		return "not committed"
	case !results[0].Success:
		return "not committed: there is no Git repository"
	case !results[1].Success:
		return "not committed: " + strings.TrimSpace(results[1].Error)
	}
	return "committed"
}

// commitCommand commits everything; nothing to commit is fine.
func commitCommand(message, name, email string) string {
	if name == "" {
		name = "VibeSDK"
	}
	if email == "" {
		email = "vibesdk@localhost"
	}
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	return "git add -A && { git diff --cached --quiet || git -c user.name=" + shellQuote(name) + " -c user.email=" + shellQuote(email) +
		" -c commit.gpgsign=false commit -q --no-verify -m " + shellQuote(message) + "; }"
}

// maxMessage bounds a commit's message, in bytes.
const maxMessage = 4 << 10

// shellQuote makes one word of any text for a POSIX shell.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "'", `'\''`) + "'"
}
