package console

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"time"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/internal/obs"
)

//go:embed templates assets
var files embed.FS

// Prefix is where the console is mounted.
const Prefix = "/console"

// SessionTTL is how long a person stays signed in.
const SessionTTL = 12 * time.Hour

// Options say what a console works with.
type Options struct {
	// API is the gateway's own. It and PreviewURL are required.
	API http.Handler
	// Providers are the names of those that a call may name, the one that answers all other calls first. Fewer than two leave no choice.
	Providers []string
	// Callers are who may sign in. Nil means that nobody has to: whoever reaches the server may do everything, as with the API.
	Callers *auth.Callers
	// Secret encrypts the cookies of those who are signed in. Instances that share it take each other's. Empty makes one up: people
	// sign in again after a restart.
	Secret []byte
	// History is the figures of [Figures] over the last while. Nil means that there are no charts.
	History *obs.History
	// Schedules are what happens by the clock. Nil means that there are none to show.
	Schedules Schedules
	// PreviewURL gives the address of a preview. All previews are at hosts of one domain, which may be shown in frames.
	PreviewURL func(sandboxID, token string) string
	// DeadLetters and Deployments say whether the API has them.
	DeadLetters, Deployments bool
	// Now defaults to [time.Now].
	Now func() time.Time
}

// Schedule is one thing that happens by the clock.
type Schedule struct {
	Name, Description, Cron, TimeZone string
	// Topic is where Payload is published.
	Topic, Payload string
	Next           time.Time
	// Known says that what follows is: Last is when it was published last, zero for never, and Failure why that or the next time fails.
	Known   bool
	Last    time.Time
	Failure string
	Paused  bool
}

// Timetable is what happens by the clock, as it is now.
type Timetable struct {
	// Schedules are in the order of their file.
	Schedules []Schedule
	// About says for people who fires them, and what could not be found out.
	About string
	// Pausable says that Pause and Resume work.
	Pausable bool
}

// ErrNoSchedule is the error for a name that no schedule has.
var ErrNoSchedule = errors.New("there is no such schedule")

// Schedules is what happens by the clock. It is safe for concurrent use.
type Schedules interface {
	// List returns what is so now. What cannot be found out is said in it, and no error.
	List(ctx context.Context) (Timetable, error)
	// Pause and Resume return [ErrNoSchedule], or an error that says why it cannot be done. One that is so already is no error.
	Pause(ctx context.Context, name string) error
	Resume(ctx context.Context, name string) error
}

// Console is an http.Handler for what is below [Prefix], safe for concurrent use.
type Console struct {
	o          Options
	mux        *http.ServeMux
	seal       *seal
	protection *http.CrossOriginProtection
}

// page is one row of the console: what a person needs to see it, and what answers.
type page struct {
	pattern string
	scope   auth.Scope
	answer  func(v *visit) error
}

// anyone may see a page who is signed in.
const anyone auth.Scope = ""

// New returns a console.
func New(o Options) (*Console, error) {
	if o.API == nil || o.PreviewURL == nil {
		return nil, errors.New("console: API and PreviewURL are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Console{o: o, mux: http.NewServeMux(), seal: newSeal(o.Secret), protection: http.NewCrossOriginProtection()}
	c.mux.HandleFunc("GET "+Prefix, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, Prefix+"/", http.StatusFound)
	})
	c.mux.HandleFunc("GET "+Prefix+"/assets/{name}", c.asset)
	c.mux.HandleFunc("GET "+Prefix+"/login", c.loginPage)
	c.mux.HandleFunc("POST "+Prefix+"/login", c.login)
	c.mux.HandleFunc("POST "+Prefix+"/logout", c.logout)
	for _, p := range c.pages() {
		c.mux.Handle(p.pattern, c.visited(p))
	}
	c.mux.Handle(Prefix+"/", c.visited(page{answer: func(*visit) error {
		return &pageError{http.StatusNotFound, "There is no such page", ""}
	}}))
	return c, nil
}

func (c *Console) pages() []page {
	const get, post = "GET " + Prefix, "POST " + Prefix
	rows := []page{
		{get + "/{$}", anyone, (*visit).overview},
		{get + "/sandboxes", auth.SandboxesRead, (*visit).sandboxes},
		{get + "/sandboxes/{id}", auth.SandboxesRead, (*visit).sandbox},
		{get + "/sandboxes/{id}/events", auth.SandboxesRead, (*visit).sandboxEvents},
		{get + "/sandboxes/{id}/log", auth.SandboxesRead, (*visit).sandboxLog},
		{post + "/sandboxes/{id}/stop", auth.SandboxesWrite, (*visit).stopSandbox},
		{get + "/sessions", auth.SessionsRead, (*visit).sessions},
		{get + "/sessions/{id}", auth.SessionsRead, (*visit).session},
		{get + "/sessions/{id}/events", auth.SessionsRead, (*visit).sessionEvents},
		{get + "/limits", auth.LimitsRead, (*visit).limits},
		{post + "/limits/reset", auth.LimitsWrite, (*visit).resetLimit},
	}
	if c.o.DeadLetters {
		rows = append(
			rows,
			page{get + "/dead-letters", auth.DeadLettersRead, (*visit).letters},
			page{post + "/dead-letters/replay", auth.DeadLettersWrite, (*visit).replayLetters},
			page{post + "/dead-letters/purge", auth.DeadLettersWrite, (*visit).purgeLetters},
			page{get + "/dead-letters/{id}", auth.DeadLettersRead, (*visit).letter},
			page{post + "/dead-letters/{id}/edit", auth.DeadLettersWrite, (*visit).editLetter},
			page{post + "/dead-letters/{id}/replay", auth.DeadLettersWrite, (*visit).replayLetter},
			page{post + "/dead-letters/{id}/park", auth.DeadLettersWrite, (*visit).parkLetter},
			page{post + "/dead-letters/{id}/release", auth.DeadLettersWrite, (*visit).releaseLetter},
			page{post + "/dead-letters/{id}/purge", auth.DeadLettersWrite, (*visit).purgeLetter},
		)
	}
	if c.o.Deployments {
		rows = append(
			rows,
			page{get + "/deployments", auth.DeploymentsRead, (*visit).deployments},
			page{get + "/deployments/{name}", auth.DeploymentsRead, (*visit).deployment},
			page{post + "/deployments/{name}", auth.DeploymentsWrite, (*visit).changeDeployment},
		)
	}
	if c.o.Schedules != nil {
		rows = append(
			rows,
			page{get + "/schedules", auth.MetricsRead, (*visit).schedules},
			page{post + "/schedules/{name}/run", auth.Publish, (*visit).runSchedule},
			page{post + "/schedules/{name}/pause", auth.Admin, (*visit).turnSchedule},
			page{post + "/schedules/{name}/resume", auth.Admin, (*visit).turnSchedule},
		)
	}
	return rows
}
