package sandbox

import "time"

// GuestTask is what `sandboxd` reads from the file or blob address given with --task: a [Task] and where to
// work. It holds secrets; a file has mode 0600.
type GuestTask struct {
	Task
	// Dir is the generation's folder. sandboxd works in its app, home and tmp below it.
	Dir string `json:"dir"`
	// Store says where to keep what must outlive Dir. The zero value means that build and serve share Dir, that somebody
	// reads StatusFile and the output, and that nobody else can be given the same task.
	Store GuestStore `json:"store,omitzero"`
	// SnapshotDigest is what the build reported, for serve to hold the snapshot against. Empty is not checked.
	SnapshotDigest string `json:"snapshotDigest,omitempty"`
	// Owner is who does the work, as it is told in the claim: the execution of a job.
	Owner string `json:"owner,omitempty"`
	// StatusFile is where sandboxd keeps its [GuestStatus], replaced by rename at each change.
	StatusFile string `json:"statusFile,omitempty"`
	// Listen is the address that serve listens on, 127.0.0.1:0 for any free port.
	Listen string `json:"listen,omitempty"`
	// BaseEnv is the whole environment of the project's commands before Spec.Env: nothing is inherited.
	BaseEnv map[string]string `json:"baseEnv,omitempty"`
	// StartTimeout is how long serve waits for a development server to answer. Defaults to 60 s.
	StartTimeout time.Duration `json:"startTimeout,omitempty"`
}

// GuestStore is a set of addresses, each of one object: file:///path or an http(s) URL that allows just what is said here, such as
// a signed one. So sandboxd needs no rights of its own. An empty address is not used.
type GuestStore struct {
	// Claim is created (PUT, x-goog-if-generation-match: 0) and never replaced: whoever creates it does the work, all others
	// exit. ClaimRead (GET) is for one who does not know whether he did. The body is a [GuestClaim].
	Claim     string `json:"claim,omitempty"`
	ClaimRead string `json:"claimRead,omitempty"`
	// Grave (GET) exists when the generation was deleted: nothing of it starts any more.
	Grave string `json:"grave,omitempty"`
	// Status (PUT) takes the [GuestStatus], replaced at each change of its progress.
	Status string `json:"status,omitempty"`
	// Log (PUT) takes what the phase printed, the whole of it each time, while a build runs and at the end.
	Log string `json:"log,omitempty"`
	// Snapshot takes the built app from build (PUT) and gives it to serve (GET).
	Snapshot string `json:"snapshot,omitempty"`
	// BuildLog (GET) is the build's Log, for serve to show.
	BuildLog string `json:"buildLog,omitempty"`
}

// GuestClaim says who does the work of a phase.
type GuestClaim struct {
	Owner string `json:"owner"`
	// Nonce tells two runs of one owner apart.
	Nonce string    `json:"nonce"`
	At    time.Time `json:"at"`
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
	// SnapshotDigest is `sha256:<hex>` of the snapshot that a build stored.
	SnapshotDigest string `json:"snapshotDigest,omitempty"`
	// Groups are the process groups started for the project's commands and not yet gone, so that whoever
	// outlives sandboxd can end them.
	Groups    []int     `json:"groups,omitempty"`
	UpdatedAt time.Time `json:"updatedAt"`
}
