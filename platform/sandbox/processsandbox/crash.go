package processsandbox

import "vibesdk-gcp/internal/crashpoint"

// The places around the start of a process, for tests that kill the program there. A count selects the phase: in a plain
// run the first is the build, the second the preview.
var (
	afterTask  = crashpoint.New("processsandbox/after-task")  // the task is on disk, nothing runs
	afterStart = crashpoint.New("processsandbox/after-start") // sandboxd runs, its pid is on no record
	midDelete  = crashpoint.New("processsandbox/mid-delete")  // the processes are gone, the files are there
)
