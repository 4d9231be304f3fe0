package events

import (
	"time"

	"vibesdk-gcp/schemas"
)

// Topic is one row of the topic table.
type Topic struct {
	Name string
	// Type is the CloudEvents type of its messages.
	Type string
	// Ordered topics need a Key on each message and deliver the messages of one key in publish order.
	Ordered bool
	// Schema is the .proto file registered with the topic, relative to schemas/. Empty means none: Cloud
	// Scheduler publishes fixed bytes, and dead letters are kept exactly as they came.
	Schema string
	// Validate checks a payload at publish, as Pub/Sub does with a schema. Nil accepts anything.
	Validate func(data []byte) error
}

// Subscription is one consumer of a topic with its policy. The zero value of a policy field means the
// default named beside it.
type Subscription struct {
	// Name is unique over all topics and is also the durable identity of the consumer.
	Name  string
	Topic Topic
	// Attempts is how many failed attempts park a message on dead-letters. Defaults to 20: a few rolling
	// restarts must not look like poison.
	Attempts int
	// AttemptTimeout is the deadline of one call of the handler. Defaults to 30 s.
	AttemptTimeout time.Duration
	// MinBackoff and MaxBackoff bound the jittered exponential delay between attempts. Default to 100 ms
	// and 60 s.
	MinBackoff, MaxBackoff time.Duration
	// Concurrency is how many handler calls run at once. Defaults to 16.
	Concurrency int
	// MaxBatch is the most messages of one key that one call of a BatchHandler gets. Defaults to 1.
	MaxBatch int
	// MaxOutstanding is the most messages held in memory. Defaults to 1000.
	MaxOutstanding int
}

// The topic table. Change it here only; `make generate` writes what Terraform reads.
var (
	SandboxRequests = Topic{
		Name: "sandbox-requests", Type: "vibesdk.sandbox.request.v1",
		Schema: "sandbox_request.proto", Validate: schemas.CheckSandboxRequest,
	}
	StateMutations = Topic{
		Name: "state-mutations", Type: "vibesdk.session.mutation.v1", Ordered: true,
		Schema: "state_mutation.proto", Validate: schemas.CheckStateMutation,
	}
	AgentCallbacks = Topic{
		Name: "agent-callbacks", Type: "vibesdk.agent.callback.v1",
		Schema: "agent_callback.proto", Validate: schemas.CheckAgentCallback,
	}
	CleanupTicks = Topic{
		Name: "cleanup-ticks", Type: "vibesdk.cleanup.tick.v1",
	}
	DeadLetters = Topic{
		Name: "dead-letters", Type: "vibesdk.dead-letter.v1",
	}
)

// The subscriptions. Each exists from the moment the bus is opened, whether or not its consumer runs.
var (
	SandboxRunner = Subscription{Name: "sandboxrunner", Topic: SandboxRequests}
	// StateWriter retries in place for as long as an attempt lasts, for a message of an ordered key that goes back holds
	// up its key: with 20 attempts a store may be away for most of an hour before anything is parked.
	StateWriter = Subscription{
		Name: "statewriter", Topic: StateMutations, MaxBatch: 500, MaxOutstanding: 10000, AttemptTimeout: 2 * time.Minute,
	}
	// CallbackRunner waits for an agent host to answer; its attempts must outlast the host's deadline.
	CallbackRunner = Subscription{Name: "callbackrunner", Topic: AgentCallbacks, Concurrency: 32, AttemptTimeout: 2 * time.Minute}
	Janitor        = Subscription{Name: "janitor", Topic: CleanupTicks, Concurrency: 4, AttemptTimeout: 2 * time.Minute}
	// Parked is read by people, with vibectl.
	Parked = Subscription{Name: "parked", Topic: DeadLetters}
)

// Topics lists the topic table.
func Topics() []Topic {
	return []Topic{SandboxRequests, StateMutations, AgentCallbacks, CleanupTicks, DeadLetters}
}

// Subscriptions lists all subscriptions.
func Subscriptions() []Subscription {
	return []Subscription{SandboxRunner, StateWriter, CallbackRunner, Janitor, Parked}
}
