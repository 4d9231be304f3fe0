package callbackrunner

import (
	"encoding/json"
	"time"

	"vibesdk-gcp/platform/session"
)

// Call is the body of a call to an agent host.
type Call struct {
	SessionID string          `json:"sessionId"`
	Callback  string          `json:"callback"`
	Payload   json.RawMessage `json:"payload,omitempty"`
	Job       CallJob         `json:"job"`
	// Run numbers the deliveries that are different ones; with the session and the job's id it is what Idempotency-Key is
	// made of.
	Run int64 `json:"run"`
	// Attempt is 1 for the first attempt of an occurrence, one more for each that failed.
	Attempt int `json:"attempt"`
	// Late is how many seconds after its time the call is made.
	Late float64 `json:"late"`
	// Missed is how many occurrences of a recurring job passed unnoticed over its whole life.
	Missed int64 `json:"missed"`
}

// CallJob is the job with the fields that the agents SDK gives a callback: those of a schedule, or of an item of the queue.
type CallJob struct {
	ID       string          `json:"id"`
	Type     session.JobType `json:"type"`
	Callback string          `json:"callback"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	// Time and CreatedAt are in seconds since 1970, as the SDK has them; Due is the exact time.
	Time      int64     `json:"time,omitempty"`
	CreatedAt int64     `json:"createdAt,omitempty"`
	Due       time.Time `json:"due"`

	DelayInSeconds  *float64 `json:"delayInSeconds,omitempty"`
	Cron            string   `json:"cron,omitempty"`
	IntervalSeconds float64  `json:"intervalSeconds,omitempty"`
	// Retry is left out when the job was made without one.
	Retry *session.Retry `json:"retry,omitempty"`
}

// newCall describes the run of a job that is called now.
func newCall(sessionID string, j session.Job, now time.Time) Call {
	job := CallJob{
		ID: j.ID, Type: j.Type, Callback: j.Callback, Payload: j.Payload, Due: j.Due.UTC(),
		Cron: j.Cron, IntervalSeconds: j.IntervalSeconds,
	}
	switch j.Type {
	case session.JobQueue:
		job.CreatedAt = j.CreatedAt.Unix()
	case session.JobDelayed:
		job.DelayInSeconds = &j.DelaySeconds
		fallthrough
	default:
		job.Time = j.Due.Unix()
	}
	if j.Retry != (session.Retry{}) {
		job.Retry = &j.Retry
	}
	return Call{
		SessionID: sessionID, Callback: j.Callback, Payload: j.Payload, Job: job,
		Run: j.Run, Attempt: j.Attempt + 1, Late: max(0, now.Sub(j.Due).Seconds()), Missed: j.Missed,
	}
}
