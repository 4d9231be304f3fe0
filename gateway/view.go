package gateway

import (
	"cmp"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// Sandbox is what a caller sees of a sandbox.
type Sandbox struct {
	ID          string        `json:"id"`
	RequestID   string        `json:"requestId"`
	ProjectName string        `json:"projectName"`
	State       sandbox.State `json:"state"`
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

func (g *Gateway) view(r sandbox.Record) Sandbox {
	s := Sandbox{
		ID: r.ID, RequestID: r.RequestID, ProjectName: r.ProjectName, State: r.State,
		Generation: r.Fence, Version: r.Version, Restarts: r.Restarts, Reason: cmp.Or(r.Reason, r.Waiting), LogTail: r.LogTail,
		TTLSeconds: int64(r.TTL / time.Second), IdleSeconds: int64(r.Idle / time.Second),
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, ReadyAt: r.ReadyAt, ActiveAt: r.ActiveAt,
		ExpiresAt: r.ExpiresAt, EndedAt: r.EndedAt,
	}
	if r.State == sandbox.Ready {
		s.PreviewURL = g.PreviewURL(r.ID, r.Token)
	}
	return s
}
