package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"vibesdk-gcp/platform/sandbox"
)

// taskLimit is the largest task that is read: inline files travel in it as base64.
const taskLimit = 64 << 20

// refPattern keeps a ref usable as a folder, an object name and the value of an environment variable.
var refPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// LoadTask reads and checks the task at address, a file or a file:// or gs:// address. Errors never hold
// the task's content, since it has secrets.
func LoadTask(ctx context.Context, address string) (sandbox.GuestTask, error) {
	var task sandbox.GuestTask
	body, err := readTask(ctx, address)
	if err != nil {
		return task, fmt.Errorf("read task: %w", err)
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&task); err != nil {
		if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return task, fmt.Errorf("read task: field %s has the wrong type", bad.Field)
		}
		return task, errors.New("read task: not valid JSON")
	}
	return task, checkTask(task)
}

func readTask(ctx context.Context, address string) ([]byte, error) {
	var r io.ReadCloser
	var err error
	if strings.Contains(address, "://") {
		r, err = openObject(ctx, address)
	} else {
		r, err = os.Open(address)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	body, err := io.ReadAll(io.LimitReader(r, taskLimit+1))
	if err == nil && len(body) > taskLimit {
		err = fmt.Errorf("larger than %d bytes", taskLimit)
	}
	return body, err
}

func checkTask(t sandbox.GuestTask) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !refPattern.MatchString(t.ID) {
		fault("id %q does not match %s", t.ID, refPattern)
	}
	if t.Fence < 0 {
		fault("fence %d is negative", t.Fence)
	}
	if !filepath.IsAbs(t.Dir) {
		fault("dir %q is not an absolute path", t.Dir)
	}
	if (t.Spec.Dev == "") == (t.Spec.StaticDir == "") {
		fault("exactly one of spec.dev and spec.staticDir must be set")
	}
	if t.Spec.StaticDir != "" {
		if _, err := cleanPath(t.Spec.StaticDir); err != nil && t.Spec.StaticDir != "." {
			fault("spec.staticDir: %w", err)
		}
	}
	if (len(t.Spec.Source.Files) > 0) == (t.Spec.Source.ArchiveURI != "") {
		fault("exactly one of spec.source.files and spec.source.archiveUri must be set")
	}
	for _, env := range []map[string]string{t.BaseEnv, t.Spec.Env} {
		for name, value := range env {
			if !envName.MatchString(name) {
				fault("environment variable name %q is not valid", name)
			}
			if strings.ContainsRune(value, 0) {
				fault("environment variable %s holds a NUL byte", name)
			}
		}
	}
	return errors.Join(faults...)
}
