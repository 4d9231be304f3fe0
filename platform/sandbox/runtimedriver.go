package sandbox

import (
	"context"
	"io"
)

// RuntimeDriver builds and serves sandboxes. [Runtime] holds one and adds validation and metrics. No method
// waits for a build or a start: each triggers or looks. All methods are safe for concurrent use; a driver whose sandboxes do not end
// with its process keeps every promise also among several processes.
type RuntimeDriver interface {
	// Build triggers the build of the task's generation. Calling it again for the same Ref, concurrently or
	// after a crash, must never run a second build; it returns nil when one runs, has ended or was interrupted.
	// ErrGone when the generation was deleted, ErrUnavailable when no work is taken now, with ErrQuota when a quota is why.
	Build(ctx context.Context, t Task) error
	// Serve triggers the preview of a generation whose build is Done. Idempotent like Build, with the same
	// errors; ErrTransition when the build is not Done.
	Serve(ctx context.Context, t Task) error
	// Inspect says what is known about a generation. An unknown Ref is the zero Status, not an error.
	Inspect(ctx context.Context, ref Ref) (Status, error)
	// Delete removes everything of the id with a fence ≤ ref.Fence: processes with all their descendants,
	// services, files, logs, snapshots. It returns nil only when they are gone; absent is nil. A newer generation is left alone.
	// ErrUnavailable when something takes longer to go: calling it again goes on.
	Delete(ctx context.Context, ref Ref) error
	// List returns every generation of which anything exists, also ones it does not remember starting.
	List(ctx context.Context) ([]Ref, error)
	// Logs returns what the phase printed, from byte offset on, up to now; of a build that has ended, all of it. Nothing yet is an empty
	// reader; an unknown Ref is ErrNotFound.
	Logs(ctx context.Context, ref Ref, phase Phase, offset int64) (io.ReadCloser, error)
	// Await returns when Inspect would differ from seen, or when ctx ends, whichever is first. It may return
	// early and must return promptly after a change. The end of ctx is nil.
	Await(ctx context.Context, ref Ref, seen Status) error
}

// Phase is one of the two programs that a generation runs.
type Phase string

// The phases.
const (
	PhaseBuild Phase = "build"
	PhaseServe Phase = "serve"
)

// Progress is how far a phase is.
type Progress string

// Progress of a phase. The zero value means that nothing was triggered.
const (
	Absent  Progress = ""
	Running Progress = "running" // build: at work; serve: starting, not answering yet
	Done    Progress = "done"    // build: succeeded; serve: answering at Endpoint
	Broken  Progress = "broken"  // ended badly: see Reason
)

// Status is what a runtime knows about one generation.
type Status struct {
	Build, Serve Progress
	// Interrupted goes with Broken: the phase was lost with what ran it, through no fault of the app. It is not
	// triggered again; a new generation may be.
	Interrupted bool
	// Endpoint is where the preview answers while Serve is Done: host:port or an https URL.
	Endpoint string
	// Reason and LogTail explain Broken, in words for the owner of the app. LogTail is at most 16 KiB.
	Reason  string
	LogTail string
}
