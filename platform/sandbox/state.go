package sandbox

import "time"

// State is where a sandbox is in its life.
type State string

// The states, in order. Within one fence a record moves only along the arrows of the package's picture; a new
// generation (fence + 1) starts again at Requested. See [CanMove].
const (
	Requested State = "requested" // accepted, nothing started
	Building  State = "building"  // a build with this fence was triggered
	Starting  State = "starting"  // the build ended well, a preview was triggered
	Ready     State = "ready"     // the preview answers and its route is published
	Stopping  State = "stopping"  // resources are being removed
	Deleted   State = "deleted"   // everything is gone; Reason says why
	Failed    State = "failed"    // everything is gone; Reason says why, LogTail what was printed last
)

// Record is the versioned truth about one sandbox.
type Record struct {
	ID        string `json:"id"`
	RequestID string `json:"requestId"`
	// Fingerprint is a digest of the accepted request, to tell a duplicate from a reused request id.
	Fingerprint string `json:"-"`
	ProjectName string `json:"projectName"`
	// AppName is the app that the sandbox is a lasting deployment of; empty for a preview.
	AppName string `json:"appName,omitempty"`
	State   State  `json:"state"`
	// Fence counts generations. Resources of a smaller fence are orphans.
	Fence int64 `json:"fence"`
	// Version grows by one with each Save.
	Version int64 `json:"version"`
	// Token is the unguessable part of the preview host of this generation.
	Token string `json:"-"`
	// ControlToken guards the live endpoints of this generation.
	ControlToken string `json:"-"`
	// Endpoint is host:port or URL of the preview once it answers.
	Endpoint string `json:"-"`
	// Reason says why a sandbox failed, stops or was deleted, in words for its owner.
	Reason string `json:"reason,omitempty"`
	// Waiting says what an unfinished sandbox waits for while the runtime takes no work, in words for its owner; empty otherwise.
	Waiting string `json:"waiting,omitempty"`
	// LogTail is the end of the build or server log, kept when the files are gone. At most 16 KiB.
	LogTail string `json:"logTail,omitempty"`
	// Restarts counts generations after the first that were started because a preview was lost.
	Restarts int `json:"restarts,omitempty"`

	// TTL and Idle are the accepted limits.
	TTL  time.Duration `json:"ttl"`
	Idle time.Duration `json:"idle"`

	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// PhaseDeadline is when the present state counts as stuck. Zero in Ready, Deleted and Failed.
	PhaseDeadline time.Time `json:"phaseDeadline,omitzero"`
	ReadyAt       time.Time `json:"readyAt,omitzero"`
	// ActiveAt is the last preview traffic, or when the preview became ready. Not covered by Version.
	ActiveAt time.Time `json:"activeAt,omitzero"`
	// ExpiresAt is CreatedAt + TTL.
	ExpiresAt time.Time `json:"expiresAt"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
}
