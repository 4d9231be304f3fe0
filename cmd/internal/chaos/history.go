package chaos

import (
	"sync"
	"time"
)

// Mutation is one append to the list of a session.
type Mutation struct {
	ID, Session string
	// Invoked is when it was sent first, Known when a client first knew that it is durable, 0 for never. Both count the moments of
	// the history: see [History.Invoke].
	Invoked, Known int64
	Outcome        Outcome
	// Version is the session's right after, as a client was told; 0 when none was.
	Version int64
}

// Read is the version that a client saw of a session, and the highest that any client was told before it asked.
type Read struct {
	Session     string
	Floor, Seen int64
}

// Charge is one charge of 1 to a limit.
type Charge struct {
	Limit, Identifier string
	// Begun and Ended bound when it was decided.
	Begun, Ended time.Time
	// Outcome is Applied for an admitted one.
	Outcome Outcome
	// Degraded says that the gateway decided by itself.
	Degraded bool
}

// Job is one job of a session, to run once.
type Job struct {
	Session, ID string
	// Queued is an item of the queue, else it is a schedule.
	Queued         bool
	Invoked, Known int64
	Outcome        Outcome
	// NotBefore is the earliest that it can be due.
	NotBefore time.Time
}

// Call is one call of the agent host.
type Call struct {
	Session, Job string
	Run          int64
	Key          string
	At           time.Time
	// Answered says that the host answered with success.
	Answered bool
}

// History is what clients did and were told, and what the agent host was asked. Its methods may be called concurrently; its fields are
// read when nobody adds to them any more.
type History struct {
	mu     sync.Mutex
	moment int64

	// Mutations and Jobs by id, which is unique in a run.
	Mutations map[string]*Mutation
	Jobs      map[string]*Job
	// Requests are the sandboxes asked for, Poison the messages that no consumer can take, each by id.
	Requests, Poison map[string]Outcome
	Charges          []Charge
	Calls            []Call
	Reads            []Read

	told map[string]int64 // the highest version of each session
}

// NewHistory returns an empty one.
func NewHistory() *History {
	return &History{
		Mutations: map[string]*Mutation{}, Jobs: map[string]*Job{}, Requests: map[string]Outcome{}, Poison: map[string]Outcome{},
		told: map[string]int64{},
	}
}

// next is a moment later than all before. The caller holds mu.
func (h *History) next() int64 {
	h.moment++
	return h.moment
}

// Invoke notes that a mutation is being sent. Sent again, it stays the one that it was.
func (h *History) Invoke(session, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Mutations[id] == nil {
		h.Mutations[id] = &Mutation{ID: id, Session: session, Invoked: h.next()}
	}
}

// Told notes an answer about a mutation; version is 0 when it says none.
func (h *History) Told(id string, o Outcome, version int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.Mutations[id]
	m.Outcome = max(m.Outcome, o)
	if o.durable() && m.Known == 0 {
		m.Known = h.next()
	}
	if version > 0 {
		m.Version = version
		h.told[m.Session] = max(h.told[m.Session], version)
	}
}

// Floor is the highest version of a session that anybody was told so far.
func (h *History) Floor(session string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told[session]
}

// Saw notes what a client read, and the [History.Floor] from before it asked.
func (h *History) Saw(session string, floor, version int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Reads = append(h.Reads, Read{session, floor, version})
	h.told[session] = max(h.told[session], version)
}

// InvokeJob notes that a job is being sent.
func (h *History) InvokeJob(j Job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Jobs[j.ID] == nil {
		j.Invoked = h.next()
		h.Jobs[j.ID] = &j
	}
}

// ToldJob notes an answer about a job.
func (h *History) ToldJob(id string, o Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	j := h.Jobs[id]
	j.Outcome = max(j.Outcome, o)
	if o.durable() && j.Known == 0 {
		j.Known = h.next()
	}
}

// ToldRequest notes that a sandbox was asked for, and what is known of that.
func (h *History) ToldRequest(id string, o Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Requests[id] = max(h.Requests[id], o)
}

// ToldPoison notes that poison was sent, and what is known of that.
func (h *History) ToldPoison(id string, o Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Poison[id] = max(h.Poison[id], o)
}

// Charged notes a charge.
func (h *History) Charged(c Charge) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Charges = append(h.Charges, c)
}

// Called notes a call of the agent host.
func (h *History) Called(c Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Calls = append(h.Calls, c)
}

// Read runs fn while nothing is added.
func (h *History) Read(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
}
