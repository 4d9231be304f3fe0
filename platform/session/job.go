package session

import (
	"encoding/json"
	"time"
)

// JobType is when a job is due.
type JobType string

// The types of jobs.
const (
	// JobDelayed and JobScheduled run once: after a delay, at a date.
	JobDelayed   JobType = "delayed"
	JobScheduled JobType = "scheduled"
	// JobCron and JobInterval run again and again.
	JobCron     JobType = "cron"
	JobInterval JobType = "interval"
	// JobQueue is an item of the queue: first in, first out, one at a time.
	JobQueue JobType = "queue"
)

// Job is a schedule or a queued item.
type Job struct {
	ID       string          `json:"id"`
	Type     JobType         `json:"type"`
	Callback string          `json:"callback"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	// Due is when the next run may begin; after a failed attempt, when the next one may. The queue is in the order in which
	// its items were made, so one that waits for another attempt keeps those behind it waiting.
	Due       time.Time `json:"due"`
	CreatedAt time.Time `json:"createdAt"`
	// Delay, Cron and Interval are what the schedule was made with.
	DelaySeconds    float64 `json:"delaySeconds,omitempty"`
	Cron            string  `json:"cron,omitempty"`
	IntervalSeconds float64 `json:"intervalSeconds,omitempty"`
	Retry           Retry   `json:"retry,omitzero"`
	// Run numbers the attempts and occurrences over the whole life of the job: the one that is due or running. Each is delivered
	// with the same idempotency key however often it is delivered.
	Run int64 `json:"run"`
	// Attempt is how many attempts of the present occurrence failed.
	Attempt int `json:"attempt,omitempty"`
	// Holder and HeldUntil are the claim of whoever runs it now.
	Holder    string    `json:"holder,omitempty"`
	HeldUntil time.Time `json:"heldUntil,omitzero"`
	// Missed is how many occurrences of a recurring job were skipped because their time passed unnoticed.
	Missed int64 `json:"missed,omitempty"`
	// Parked is set on a queued item that failed for good: it waits for a person and no longer blocks the others.
	Parked    bool   `json:"parked,omitempty"`
	LastError string `json:"lastError,omitempty"`
	// Extra keeps columns of an imported row that the platform does not interpret.
	Extra json.RawMessage `json:"extra,omitempty"`
}

// Retry is how often and how fast an attempt is made again. The zero value means the defaults of the agents SDK.
type Retry struct {
	MaxAttempts int `json:"maxAttempts,omitempty"` // default 3
	BaseDelayMS int `json:"baseDelayMs,omitempty"` // default 100
	MaxDelayMS  int `json:"maxDelayMs,omitempty"`  // default 3000
}

// ScheduleRequest is the payload of Schedule. Exactly one of DelaySeconds, At, Cron and IntervalSeconds is set.
type ScheduleRequest struct {
	// ID is optional; it defaults to one derived from the mutation's id. A schedule with the same id is replaced.
	ID              string          `json:"id,omitempty"`
	Callback        string          `json:"callback"`
	Payload         json.RawMessage `json:"payload,omitempty"`
	DelaySeconds    *float64        `json:"delaySeconds,omitempty"`
	At              time.Time       `json:"at,omitzero"`
	Cron            string          `json:"cron,omitempty"`
	IntervalSeconds *float64        `json:"intervalSeconds,omitempty"`
	Retry           Retry           `json:"retry,omitzero"`
	// Idempotent finds an equal schedule (same type, callback, payload and cron or interval) instead of adding
	// another. Defaults to true for cron and interval, to false otherwise.
	Idempotent *bool `json:"idempotent,omitempty"`
}

// CancelRequest is the payload of Cancel.
type CancelRequest struct {
	ID string `json:"id"`
}

// EnqueueRequest is the payload of Enqueue.
type EnqueueRequest struct {
	// ID is optional. An item with the same id is replaced and keeps its place.
	ID       string          `json:"id,omitempty"`
	Callback string          `json:"callback"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Retry    Retry           `json:"retry,omitzero"`
}

// DequeueRequest is the payload of Dequeue: one item, all of a callback, or all.
type DequeueRequest struct {
	ID       string `json:"id,omitempty"`
	Callback string `json:"callback,omitempty"`
	All      bool   `json:"all,omitempty"`
}

// StartRequest is the payload of StartJob. It is applied when the job's run is this one and nobody else holds an
// unexpired claim (ErrConflict), and the job exists (ErrNotFound). Of a queue only the first item can be claimed
// (ErrConflict). Whoever holds the claim prolongs it in the same way; Until is at most MaxClaim away.
type StartRequest struct {
	ID     string    `json:"id"`
	Run    int64     `json:"run"`
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// FinishRequest is the payload of FinishJob: the run went well, or failed with Error. After a failure the job is due again with
// the backoff of its Retry, until its attempts are used up: then a one-shot is removed, a queued item is parked, and a
// recurring job waits for its next occurrence. Outcome.Ref is one of [FinishDone] and those beside it. A run that Holder has no
// claim on, also because the job is gone, is [FinishDropped]: applied without a change.
type FinishRequest struct {
	ID     string `json:"id"`
	Run    int64  `json:"run"`
	Holder string `json:"holder"`
	Error  string `json:"error,omitempty"`
	// Permanent says that no retry mends it.
	Permanent bool `json:"permanent,omitempty"`
}

// ImportRequest is the payload of Import: what a session consists of elsewhere. See the package cfexport for its sources.
type ImportRequest struct {
	Initialized bool                         `json:"initialized"`
	Parts       map[PartName]json.RawMessage `json:"parts"`
}
