package cloudrunsandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"vibesdk-gcp/platform/sandbox"
)

// Logs implements [sandbox.RuntimeDriver]. What a build printed is in the store, a few seconds old while it runs and whole
// at its end. What a preview prints comes from the preview itself, and when that does not answer, from what it stored at its end.
func (d *Driver) Logs(ctx context.Context, ref sandbox.Ref, phase sandbox.Phase, offset int64) (io.ReadCloser, error) {
	found, err := d.look(ctx, ref)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: generation %s", sandbox.ErrNotFound, ref)
	}
	if phase == sandbox.PhaseBuild {
		return d.stored(ctx, key(ref, buildLog), offset)
	}
	if !found[serveRun] {
		return nothing(), nil
	}
	if logs, err := d.liveLogs(ctx, ref, offset); err == nil {
		return logs, nil
	} else if ctx.Err() != nil {
		return nil, err
	}
	return d.stored(ctx, key(ref, serveLog), offset)
}

func nothing() io.ReadCloser { return io.NopCloser(bytes.NewReader(nil)) }

// stored opens a log in the store; none is empty.
func (d *Driver) stored(ctx context.Context, key string, offset int64) (logs io.ReadCloser, err error) {
	// Not under the time limit of a call: the reader lives on.
	logs, err = d.o.Store.Range(ctx, key, offset)
	if errors.Is(err, fs.ErrNotExist) {
		return nothing(), nil
	}
	return logs, translateStore(ctx, err)
}

// liveLogs asks the preview.
func (d *Driver) liveLogs(ctx context.Context, ref sandbox.Ref, offset int64) (io.ReadCloser, error) {
	present, err := d.previews.get(ctx, previewName(ref))
	if err != nil {
		return nil, err
	}
	if present.uri == "" || present.deleting {
		return nil, fmt.Errorf("%w: the preview has no address yet", sandbox.ErrUnavailable)
	}
	var task sandbox.GuestTask
	if err := d.read(ctx, key(ref, serveTask), &task); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, d.o.CallTimeout)
	logs, err := sandbox.NewControl(present.uri, task.ControlToken, d.o.HTTPClient).Logs(limited, sandbox.PhaseServe, offset, false)
	if err != nil {
		cancel()
		return nil, err
	}
	return endingWith{logs, cancel}, nil
}

// endingWith ends its context when it is closed.
type endingWith struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (e endingWith) Close() error { defer e.cancel(); return e.ReadCloser.Close() }
