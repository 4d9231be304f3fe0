package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Job is a schedule or a queued item of a session.
type Job struct {
	ID string `json:"id"`
	// Type is delayed, scheduled, cron, interval or queue.
	Type     string          `json:"type"`
	Callback string          `json:"callback"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	// Due is when the next run may begin.
	Due       time.Time `json:"due"`
	CreatedAt time.Time `json:"createdAt"`
	// DelaySeconds, Cron and IntervalSeconds are what a schedule was made with.
	DelaySeconds    float64 `json:"delaySeconds,omitempty"`
	Cron            string  `json:"cron,omitempty"`
	IntervalSeconds float64 `json:"intervalSeconds,omitempty"`
	Retry           Retry   `json:"retry"`
	// Run numbers the attempts and occurrences; Attempt counts the failed ones of the present occurrence.
	Run     int64 `json:"run"`
	Attempt int   `json:"attempt,omitempty"`
	// RunningUntil is set while a run is under way: it is given up then.
	RunningUntil time.Time `json:"runningUntil,omitzero"`
	// Missed is how many occurrences were skipped because nothing ran at their time.
	Missed int64 `json:"missed,omitempty"`
	// Parked is set on a queued item that failed for good and waits for a person.
	Parked    bool   `json:"parked,omitempty"`
	LastError string `json:"lastError,omitempty"`
}

// Retry is how often and how fast an attempt is made again. Zero fields mean 3 attempts, from 100 ms, to 3 s.
type Retry struct {
	MaxAttempts int `json:"maxAttempts,omitempty"`
	BaseDelayMS int `json:"baseDelayMs,omitempty"`
	MaxDelayMS  int `json:"maxDelayMs,omitempty"`
}

// ScheduleRequest asks for a schedule. Exactly one of DelaySeconds, At, Cron and IntervalSeconds is set.
type ScheduleRequest struct {
	// ID is made up when empty.
	ID              string          `json:"id,omitempty"`
	Callback        string          `json:"callback"`
	Payload         json.RawMessage `json:"payload,omitempty"`
	DelaySeconds    *float64        `json:"delaySeconds,omitempty"`
	At              time.Time       `json:"at,omitzero"`
	Cron            string          `json:"cron,omitempty"`
	IntervalSeconds *float64        `json:"intervalSeconds,omitempty"`
	Retry           Retry           `json:"retry,omitzero"`
	// Idempotent finds an equal schedule instead of adding another. Defaults to true for cron and interval.
	Idempotent *bool `json:"idempotent,omitempty"`
}

// EnqueueRequest asks for an item at the end of the queue.
type EnqueueRequest struct {
	// ID is made up when empty. An item with the same id is replaced and keeps its place.
	ID       string          `json:"id,omitempty"`
	Callback string          `json:"callback"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Retry    Retry           `json:"retry,omitzero"`
}

// JobFilter selects jobs; zero fields select all.
type JobFilter struct {
	ID, Callback string
	// Type, From and To are for schedules only. From and To are both included.
	Type     string
	From, To time.Time
}

func (f JobFilter) query() url.Values {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("id", f.ID)
	set("callback", f.Callback)
	set("type", f.Type)
	if !f.From.IsZero() {
		set("from", f.From.Format(time.RFC3339Nano))
	}
	if !f.To.IsZero() {
		set("to", f.To.Format(time.RFC3339Nano))
	}
	return query
}

// Schedule adds a schedule; the result's Ref is its id.
func (s *Sessions) Schedule(ctx context.Context, id string, request ScheduleRequest, o WriteOptions) (MutationResult, error) {
	return s.post(ctx, id, "schedules", request, o)
}

// Schedules returns the schedules of a session in the order of their time.
func (s *Sessions) Schedules(ctx context.Context, id string, filter JobFilter) ([]Job, error) {
	return s.jobs(ctx, filter, id, "schedules")
}

// CancelSchedule removes a schedule. [ErrNotFound] when there is none.
func (s *Sessions) CancelSchedule(ctx context.Context, id, jobID string, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodDelete, path: s.path(id, "schedules", jobID)})
}

// Enqueue adds an item to the queue; the result's Ref is its id.
func (s *Sessions) Enqueue(ctx context.Context, id string, request EnqueueRequest, o WriteOptions) (MutationResult, error) {
	return s.post(ctx, id, "queue", request, o)
}

// Queue returns the queue of a session in its order, the items that were parked as well.
func (s *Sessions) Queue(ctx context.Context, id string, filter JobFilter) ([]Job, error) {
	return s.jobs(ctx, filter, id, "queue")
}

// Dequeue removes an item of the queue; the result's Ref is how many were removed.
func (s *Sessions) Dequeue(ctx context.Context, id, itemID string, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodDelete, path: s.path(id, "queue", itemID)})
}

// DequeueAll removes all items of a callback, or all when callback is empty; the result's Ref is how many.
func (s *Sessions) DequeueAll(ctx context.Context, id, callback string, o WriteOptions) (MutationResult, error) {
	query := url.Values{"all": {"1"}}
	if callback != "" {
		query = url.Values{"callback": {callback}}
	}
	return s.write(ctx, id, o, call{method: http.MethodDelete, path: s.path(id, "queue"), query: query})
}

func (s *Sessions) jobs(ctx context.Context, filter JobFilter, segments ...string) ([]Job, error) {
	var out struct {
		Jobs []Job `json:"jobs"`
	}
	err := s.get(ctx, filter.query(), &out, segments...)
	return out.Jobs, err
}

func (s *Sessions) post(ctx context.Context, id, below string, request any, o WriteOptions) (MutationResult, error) {
	data, err := marshal(request)
	if err != nil {
		return MutationResult{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return s.write(ctx, id, o, call{method: http.MethodPost, path: s.path(id, below), body: rawBody(data)})
}
