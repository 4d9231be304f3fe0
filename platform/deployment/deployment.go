package deployment

import (
	"context"
	"time"
)

// Target says what kind of place a deployment runs in.
type Target string

// The targets.
const (
	TargetProcess    Target = "process"
	TargetCloudRun   Target = "cloudrun"
	TargetCloudflare Target = "cloudflare"
)

// App is one deployed app: the row that an app host name resolves to.
type App struct {
	// Name is the first label of the app's host: a DNS label, lower case.
	Name   string `json:"name"`
	Target Target `json:"target"`
	// Endpoint is host:port or an http(s) URL without path.
	Endpoint string `json:"endpoint"`
	// Version grows by one with each Put.
	Version   int64     `json:"version"`
	UpdatedAt time.Time `json:"updatedAt"`
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

// Driver stores apps and preview routes. [Table] holds one and adds validation and the cache. All methods
// are safe for concurrent use.
type Driver interface {
	// PutApp stores an app under the next version, and returns it as stored.
	PutApp(ctx context.Context, a App) (App, error)
	// App returns an app. ErrNotFound when there is none.
	App(ctx context.Context, name string) (App, error)
	// Apps returns apps ordered by name, after the given name, at most limit.
	Apps(ctx context.Context, after string, limit int) ([]App, error)
	// DeleteApp removes an app. ErrNotFound when there is none.
	DeleteApp(ctx context.Context, name string) error

	// PutPreview publishes a route. ErrStale when a larger fence is stored, or a larger one was withdrawn. The same route twice is nil.
	PutPreview(ctx context.Context, p Preview) error
	// Preview returns the route of a sandbox. ErrNotFound when there is none.
	Preview(ctx context.Context, sandboxID string) (Preview, error)
	// WithdrawPreview removes the route if its fence is ≤ fence; absent is nil. A withdrawn fence can never be published again.
	WithdrawPreview(ctx context.Context, sandboxID string, fence int64) error
	// PurgeWithdrawn forgets withdrawals older than before, and returns how many.
	PurgeWithdrawn(ctx context.Context, before time.Time) (int, error)
}

// Lookup is the view that the router holds.
type Lookup interface {
	App(ctx context.Context, name string) (App, error)
	Preview(ctx context.Context, sandboxID string) (Preview, error)
}
