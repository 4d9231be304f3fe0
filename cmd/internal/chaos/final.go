package chaos

import "time"

// Final is what is there when the faults have ended and nothing moves.
type Final struct {
	// Sessions are those that mutations were sent to, by id; one without a state is not there.
	Sessions map[string]Session
	// Jobs are left in their sessions, by id.
	Jobs map[string]Left
	// Letters are the dead letters.
	Letters []Letter
	// Sandboxes are all records.
	Sandboxes []Sandbox
	// Waiting counts messages by their subscription.
	Waiting map[string]int
	// Orphans are the things that belong to nothing, each described: processes, folders, routes, objects, resources.
	Orphans []string
	// Panics are lines of the programs' own output that no program may write.
	Panics []string
	// Limits are the configured limits by name.
	Limits map[string]float64
	// RedisKilled is when each kill of Redis began. What it may forget was charged within RedisForgets before.
	RedisKilled  []time.Time
	RedisForgets time.Duration
	// Gateways is how many gateway processes there were.
	Gateways int
}

// Session is the list of a session and its version.
type Session struct {
	Version int64
	List    []string
}

// Left is a job that is still in its session.
type Left struct {
	// Parked says that it failed for good.
	Parked    bool
	LastError string
}

// Letter is a dead letter.
type Letter struct {
	MessageID, Subscription, Reason string
	// Subject is the mutation, job or sandbox that its payload is about, as far as that can be read.
	Subject string
}

// Sandbox is a record.
type Sandbox struct {
	ID, RequestID, Reason string
	Ended, Failed         bool
}
