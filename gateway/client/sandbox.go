package client

import "time"

// State is where a sandbox is in its life.
type State string

// The states, in order; failed can follow any of the others.
const (
	Requested State = "requested"
	Building  State = "building"
	Starting  State = "starting"
	Ready     State = "ready"
	Stopping  State = "stopping"
	Deleted   State = "deleted"
	Failed    State = "failed"
)

// Ended reports whether nothing comes after the state.
func (s State) Ended() bool { return s == Deleted || s == Failed }

// Sandbox is a sandbox as the server shows it.
type Sandbox struct {
	ID          string `json:"id"`
	RequestID   string `json:"requestId"`
	ProjectName string `json:"projectName"`
	State       State  `json:"state"`
	// Generation grows when a lost preview is built again; the preview's address changes with it.
	Generation int64 `json:"generation"`
	// Version grows with each change but traffic.
	Version  int64 `json:"version"`
	Restarts int   `json:"restarts,omitempty"`
	// PreviewURL is set while the state is ready.
	PreviewURL string `json:"previewUrl,omitempty"`
	// Reason and LogTail say why a sandbox failed, stops or was deleted; Reason also what an unfinished one waits for.
	Reason      string    `json:"reason,omitempty"`
	LogTail     string    `json:"logTail,omitempty"`
	TTLSeconds  int64     `json:"ttlSeconds"`
	IdleSeconds int64     `json:"idleSeconds"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	ReadyAt     time.Time `json:"readyAt,omitzero"`
	ActiveAt    time.Time `json:"activeAt,omitzero"`
	ExpiresAt   time.Time `json:"expiresAt"`
	EndedAt     time.Time `json:"endedAt,omitzero"`
}

// RunRequest asks for a sandbox. Its JSON is a SandboxRequest, which also goes to the topic sandbox-requests as it is.
type RunRequest struct {
	// RequestID identifies the request for ever: the same id twice is one sandbox. Made up when empty.
	RequestID   string `json:"requestId,omitempty"`
	ProjectName string `json:"projectName,omitempty"`
	Source      Source `json:"source"`
	// InstallCommand and BuildCommand are shell command lines, run in the project folder.
	InstallCommand string `json:"installCommand,omitempty"`
	BuildCommand   string `json:"buildCommand,omitempty"`
	// DevCommand starts a development server that listens on $PORT. Exactly one of DevCommand and StaticDir.
	DevCommand string `json:"devCommand,omitempty"`
	// StaticDir is a folder of the project whose files are served as they are after the build.
	StaticDir string            `json:"staticDir,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
	// TTLSeconds and IdleSeconds bound its life; 0 means the platform's default.
	TTLSeconds  int `json:"ttlSeconds,omitempty"`
	IdleSeconds int `json:"idleSeconds,omitempty"`
}

// Source is where the files come from: one of Files and ArchiveURI.
type Source struct {
	Files      []File `json:"files,omitempty"`
	ArchiveURI string `json:"archiveUri,omitempty"`
}

// File is one inline file: text in Content or bytes in Data.
type File struct {
	Path       string `json:"path"`
	Content    string `json:"content,omitempty"`
	Data       []byte `json:"data,omitempty"`
	Executable bool   `json:"executable,omitempty"`
}

// Accepted answers a request to run.
type Accepted struct {
	ID        string `json:"id"`
	RequestID string `json:"requestId"`
}
