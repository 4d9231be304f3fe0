package cloudrunsandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"vibesdk-gcp/platform/sandbox"
)

// Inspect implements [sandbox.RuntimeDriver]. It asks a preview itself only until it has answered once: a request to one
// that sleeps would wake it.
func (d *Driver) Inspect(ctx context.Context, ref sandbox.Ref) (sandbox.Status, error) {
	found, err := d.look(ctx, ref)
	if err != nil || len(found) == 0 {
		return sandbox.Status{}, err
	}
	st, err := d.inspectBuild(ctx, ref)
	if err == nil && st.Build == sandbox.Done && found[serveRun] {
		st, err = d.inspectServe(ctx, ref, found)
	}
	if errors.Is(err, fs.ErrNotExist) { // what was there a moment ago is being removed
		return sandbox.Status{}, nil
	}
	return st, err
}

// inspectBuild says what is known about the build: the guest's last word, else how the execution stands that claimed the build,
// else how those stand that may yet claim it.
func (d *Driver) inspectBuild(ctx context.Context, ref sandbox.Ref) (sandbox.Status, error) {
	if st, over, err := d.buildResult(ctx, ref); over || err != nil {
		return st, err
	}
	var names []string
	var claim sandbox.GuestClaim
	var known runs
	if err := d.readIf(ctx, key(ref, buildClaim), &claim); err != nil {
		return sandbox.Status{}, err
	}
	claimed := claim.Owner != ""
	if claimed {
		names = []string{d.jobName() + "/executions/" + claim.Owner}
	} else {
		if err := d.readIf(ctx, key(ref, buildRun), &known); err != nil {
			return sandbox.Status{}, err
		}
		if names = known.Executions; len(names) == 0 && known.Unsure {
			var err error
			if names, err = d.findExecutions(ctx, ref); err != nil {
				return sandbox.Status{}, err
			}
		}
	}
	if len(names) == 0 {
		// Nothing that is noted was triggered, or it is about to be.
		return sandbox.Status{}, nil
	}
	why := ""
	for _, name := range names {
		e, err := d.execution(ctx, name)
		switch {
		case errors.Is(err, errAbsent):
			why = "its execution was deleted"
		case err != nil:
			return sandbox.Status{}, err
		default:
			over, message := ended(e)
			if !over {
				return sandbox.Status{Build: sandbox.Running}, nil
			}
			why = message
		}
	}
	// The last word may have come between the first look and the end.
	if st, over, err := d.buildResult(ctx, ref); over || err != nil {
		return st, err
	}
	if !claimed {
		if err := d.readIf(ctx, key(ref, buildClaim), &claim); err != nil {
			return sandbox.Status{}, err
		}
		if claim.Owner != "" { // by one that is not noted
			return sandbox.Status{Build: sandbox.Running}, nil
		}
	}
	return d.lostBuild(ctx, ref, why, claimed), nil
}

// buildResult is what the guest said about a build that has ended.
func (d *Driver) buildResult(ctx context.Context, ref sandbox.Ref) (_ sandbox.Status, over bool, err error) {
	var said sandbox.GuestStatus
	if err := d.readIf(ctx, key(ref, buildStatus), &said); err != nil {
		return sandbox.Status{}, false, err
	}
	switch said.Progress {
	case sandbox.Done:
		return sandbox.Status{Build: sandbox.Done}, true, nil
	case sandbox.Broken:
		return sandbox.Status{Build: sandbox.Broken, Reason: said.Reason, LogTail: said.LogTail}, true, nil
	default:
		return sandbox.Status{}, false, nil
	}
}

// lostBuild is a build whose execution ended without a word. What ran out of memory would do so again.
func (d *Driver) lostBuild(ctx context.Context, ref sandbox.Ref, why string, begun bool) sandbox.Status {
	st := sandbox.Status{Build: sandbox.Broken, Interrupted: true, LogTail: d.logTail(ctx, ref)}
	switch {
	case outOfMemory(why):
		st.Interrupted, st.Reason = false, "build ran out of memory"
	case begun:
		st.Reason = "build interrupted: " + orUnknown(why)
	default:
		st.Reason = "build could not start: " + orUnknown(why)
	}
	return st
}

func orUnknown(why string) string {
	if why == "" {
		return "Cloud Run does not say why"
	}
	return strings.ToValidUTF8(why, "?")
}

// logTail is the end of what a build printed, as much of it as is stored.
func (d *Driver) logTail(ctx context.Context, ref sandbox.Ref) string {
	logs, err := d.stored(ctx, key(ref, buildLog), 0)
	if err != nil {
		return ""
	}
	defer logs.Close()
	body, err := io.ReadAll(logs)
	if err != nil {
		return ""
	}
	tail := strings.ToValidUTF8(string(body[max(0, len(body)-sandbox.MaxLogTail):]), "?")
	if _, rest, cut := strings.Cut(tail, "\n"); cut && len(body) > sandbox.MaxLogTail {
		tail = rest
	}
	return strings.ReplaceAll(tail, "\x00", "")
}

// inspectServe says what is known about a preview that was triggered.
func (d *Driver) inspectServe(ctx context.Context, ref sandbox.Ref, found objects) (sandbox.Status, error) {
	st := sandbox.Status{Build: sandbox.Done, Serve: sandbox.Running}
	var said sandbox.GuestStatus
	if found[serveStatus] {
		if err := d.readIf(ctx, key(ref, serveStatus), &said); err != nil {
			return sandbox.Status{}, err
		}
	}
	if said.Progress == sandbox.Broken {
		st.Serve, st.Reason, st.LogTail = sandbox.Broken, said.Reason, said.LogTail
		return st, nil
	}
	present, err := d.previews.get(ctx, previewName(ref))
	switch {
	case errors.Is(err, errAbsent), err == nil && present.deleting:
		st.Serve, st.Interrupted, st.Reason = sandbox.Broken, true, "preview interrupted: it was deleted"
		return st, nil
	case err != nil:
		return sandbox.Status{}, err
	case present.state == runpb.Condition_CONDITION_FAILED && !found[serveReady]:
		st.Serve, st.Interrupted, st.Reason = sandbox.Broken, true, "preview could not start: "+orUnknown(present.message)
		return st, nil
	}
	if found[serveReady] {
		var answered ready
		if err := d.read(ctx, key(ref, serveReady), &answered); err != nil {
			return sandbox.Status{}, err
		}
		d.renew(ctx, ref, present)
		st.Serve, st.Endpoint = sandbox.Done, answered.Endpoint
		return st, nil
	}
	if present.uri == "" || present.state != runpb.Condition_CONDITION_SUCCEEDED {
		return st, nil
	}
	// Whether or not it has said that it answers: one that lost its instance before it could say so starts again when it is asked.
	return d.firstAnswer(ctx, ref, present.uri, st)
}

// probeTimeout bounds the question whether a preview answers. What does not answer now is asked again.
const probeTimeout = 2 * time.Second

// firstAnswer asks a preview over its URL, as the router will, and remembers that it has answered.
func (d *Driver) firstAnswer(ctx context.Context, ref sandbox.Ref, uri string, st sandbox.Status) (sandbox.Status, error) {
	var task sandbox.GuestTask
	if err := d.read(ctx, key(ref, serveTask), &task); err != nil {
		return sandbox.Status{}, fmt.Errorf("task of %s: %w", ref, err)
	}
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	live, err := sandbox.NewControl(uri, task.ControlToken, d.o.HTTPClient).Status(limited)
	if err != nil || !live.Healthy {
		return st, nil // not yet
	}
	if err := d.write(ctx, key(ref, serveReady), ready{uri}); err != nil {
		return sandbox.Status{}, err
	}
	st.Serve, st.Endpoint = sandbox.Done, uri
	return st, nil
}
