package sandbox

import "time"

// GuestTask is what `sandboxd` reads from the file or blob address given with --task: a [Task] and where to
// work. It holds secrets; a file has mode 0600.
type GuestTask struct {
	Task
	// Dir is the generation's folder. sandboxd works in its app, home and tmp below it.
	Dir string `json:"dir"`
	// Bucket is the gocloud.dev/blob URL where the snapshot and, at the end, the build log go, below
	// `sandboxes/<id>/<fence>/`. Empty means that build and serve share Dir and no snapshot is taken.
	Bucket string `json:"bucket,omitempty"`
	// StatusFile is where sandboxd keeps its [GuestStatus], replaced by rename at each change.
	StatusFile string `json:"statusFile,omitempty"`
	// Listen is the address that serve listens on, 127.0.0.1:0 for any free port.
	Listen string `json:"listen,omitempty"`
	// BaseEnv is the whole environment of the project's commands before Spec.Env: nothing is inherited.
	BaseEnv map[string]string `json:"baseEnv,omitempty"`
	// StartTimeout is how long serve waits for a development server to answer. Defaults to 60 s.
	StartTimeout time.Duration `json:"startTimeout,omitempty"`
}

// GuestStatus is what sandboxd reports about its one phase.
type GuestStatus struct {
	Phase    Phase    `json:"phase"`
	Progress Progress `json:"progress"`
	// Endpoint is the address that serve listens on, host:port.
	Endpoint string `json:"endpoint,omitempty"`
	// Reason and LogTail explain Broken, in words for the owner of the app.
	Reason  string `json:"reason,omitempty"`
	LogTail string `json:"logTail,omitempty"`
	// Groups are the process groups started for the project's commands and not yet gone, so that whoever
	// outlives sandboxd can end them.
	Groups    []int     `json:"groups,omitempty"`
	UpdatedAt time.Time `json:"updatedAt"`
}
