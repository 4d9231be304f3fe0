package deployment

import "time"

// Target says what kind of place a deployment runs in.
type Target string

// The targets.
const (
	// TargetProcess is a server on the router's own machine.
	TargetProcess Target = "process"
	// TargetCloudRun is an HTTP service of an allowed host; see [Endpoints].
	TargetCloudRun Target = "cloudrun"
	// TargetCloudflare is a Worker of the dispatch namespace that the bridge reaches.
	TargetCloudflare Target = "cloudflare"
)

// Place is where the requests for an app go.
type Place struct {
	Target Target `json:"target"`
	// Endpoint is host:port or an http(s) URL without path, or the Worker's name for [TargetCloudflare].
	Endpoint string `json:"endpoint"`
	// Audience, for [TargetCloudRun] only, is whom the router proves its identity to with an ID token, as the URL of a service that
	// does not let everybody in. Empty sends none.
	Audience string `json:"audience,omitempty"`
}

// Visibility says who may see an app.
type Visibility string

// The visibilities.
const (
	Public Visibility = "public"
	// Private is for the owner alone. Like VibeSDK's, an app without an owner is seen by everybody nonetheless.
	Private Visibility = "private"
)

// App is one deployed app: the row that an app host name resolves to.
type App struct {
	// Name is the first label of the app's host: a DNS label, lower case.
	Name string `json:"name"`
	Place
	// Visibility empty is public.
	Visibility Visibility `json:"visibility"`
	// Owner is the user id whose owner tokens open a private app: at most 128 bytes of text without control characters.
	Owner string `json:"owner,omitempty"`
	// Rollout sends a part of the visitors elsewhere. Nil sends none.
	Rollout *Rollout `json:"rollout,omitempty"`
	// SandboxID is the sandbox that the app is a deployment of. Empty when the row was set by hand.
	SandboxID string `json:"sandboxId,omitempty"`
	// Version grows by one with each change, a deletion included.
	Version   int64     `json:"version"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Rollout is a second place of an app and the share of the visitors that it gets.
type Rollout struct {
	Place
	// Weight is a percentage, 0 to 100. A visitor stays where they are while it does not change; while it grows nobody comes back, and
	// while it shrinks nobody else goes there.
	Weight int `json:"weight"`
}

// Same reports whether two copies of an app are the same in all fields.
func (a App) Same(b App) bool {
	if (a.Rollout == nil) != (b.Rollout == nil) || a.Rollout != nil && *a.Rollout != *b.Rollout || !a.UpdatedAt.Equal(b.UpdatedAt) {
		return false
	}
	a.Rollout, b.Rollout, a.UpdatedAt, b.UpdatedAt = nil, nil, time.Time{}, time.Time{}
	return a == b
}

// Gated reports whether the app is its owner's alone.
func (a App) Gated() bool { return a.Visibility == Private && a.Owner != "" }

// Write says who changes an app, and from which version.
type Write struct {
	// By is who, for the history: at most 128 bytes of text without control characters.
	By string
	// IfVersion, when not nil, is the version that must be stored; 0 means that there must be none. Otherwise the write is
	// [ErrConflict] and changes nothing.
	IfVersion *int64
}

// Change is one entry of an app's history.
type Change struct {
	Version int64     `json:"version"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	// App is the row as it was stored, nil for a deletion.
	App *App `json:"app,omitempty"`
}

// Preview is the route of one generation of a sandbox.
type Preview struct {
	SandboxID string
	// Token is the unguessable second part of the host label, compared in constant time.
	Token string
	// Fence is the sandbox's generation. A larger fence replaces a smaller one, never the other way.
	Fence       int64
	Endpoint    string
	PublishedAt time.Time
}
