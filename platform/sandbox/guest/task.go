package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/cenkalti/backoff/v4"

	"vibesdk-gcp/platform/sandbox"
)

// taskLimit is the largest task that is read: inline files travel in it as base64.
const taskLimit = 64 << 20

// refPattern keeps a ref usable as a folder, an object name and the value of an environment variable.
var refPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Host is what only the machine knows on which a phase runs. It completes the task.
type Host struct {
	// Dir is the task's folder if the task names none.
	Dir string
	// Port is what serve must listen on, whatever the task says about the port; 0 leaves the task as it is.
	Port int
	// Owner is who does the work.
	Owner string
}

func (h Host) complete(t *sandbox.GuestTask) {
	if t.Dir == "" {
		t.Dir = h.Dir
	}
	if h.Port > 0 {
		host, _, err := net.SplitHostPort(t.Listen)
		if err != nil {
			host = "" // a container's only way in is its port
		}
		t.Listen = net.JoinHostPort(host, strconv.Itoa(h.Port))
	}
	if h.Owner != "" {
		t.Owner = h.Owner
	}
}

// LoadTask reads the task at address, a file or a file://, http(s):// or gs:// address, completes and checks it. Errors never
// hold the task's content, since it has secrets, nor an http(s) address.
func LoadTask(ctx context.Context, address string, host Host) (sandbox.GuestTask, error) {
	var task sandbox.GuestTask
	var body []byte
	err := retry(ctx, func() (err error) {
		body, err = readTask(ctx, address)
		if !remote(address) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTaskTooLarge) {
			err = backoff.Permanent(err)
		}
		return err
	})
	if err != nil {
		return task, fmt.Errorf("read task: %w", err)
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&task); err != nil {
		if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return task, fmt.Errorf("read task: field %s has the wrong type", bad.Field)
		}
		return task, errors.New("read task: not valid JSON")
	}
	host.complete(&task)
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
		err = errTaskTooLarge
	}
	return body, err
}

var errTaskTooLarge = fmt.Errorf("larger than %d bytes", taskLimit)

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
	// What is restored from a snapshot needs no source.
	if restored := t.SnapshotDigest != ""; !restored && (len(t.Spec.Source.Files) > 0) == (t.Spec.Source.ArchiveURI != "") {
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
