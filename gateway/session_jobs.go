package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas/gen"
)

// Job is a schedule or a queued item as callers see it.
type Job struct {
	ID       string          `json:"id"`
	Type     session.JobType `json:"type"`
	Callback string          `json:"callback"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	// Due is when the next run may begin.
	Due       time.Time `json:"due"`
	CreatedAt time.Time `json:"createdAt"`
	// DelaySeconds, Cron and IntervalSeconds are what a schedule was made with.
	DelaySeconds    float64       `json:"delaySeconds,omitempty"`
	Cron            string        `json:"cron,omitempty"`
	IntervalSeconds float64       `json:"intervalSeconds,omitempty"`
	Retry           session.Retry `json:"retry"`
	// Run numbers the attempts and occurrences; Attempt counts the failed ones of the present occurrence.
	Run     int64 `json:"run"`
	Attempt int   `json:"attempt,omitempty"`
	// RunningUntil is set while a run is under way: it is given up then.
	RunningUntil time.Time `json:"runningUntil,omitzero"`
	Missed       int64     `json:"missed,omitempty"`
	// Parked is set on a queued item that failed for good and waits for a person.
	Parked    bool   `json:"parked,omitempty"`
	LastError string `json:"lastError,omitempty"`
}

// JobList is the schedules or the queue of a session, in the order of their time.
type JobList struct {
	Jobs []Job `json:"jobs"`
}

func viewJob(j session.Job) Job {
	return Job{
		ID: j.ID, Type: j.Type, Callback: j.Callback, Payload: j.Payload, Due: j.Due, CreatedAt: j.CreatedAt,
		DelaySeconds: j.DelaySeconds, Cron: j.Cron, IntervalSeconds: j.IntervalSeconds, Retry: j.Retry, Run: j.Run,
		Attempt: j.Attempt, RunningUntil: j.HeldUntil, Missed: j.Missed, Parked: j.Parked, LastError: j.LastError,
	}
}

// maxJob bounds a request for a job: its payload, and room for the rest.
const maxJob = 512 << 10

// schedule adds a schedule. The body is a [session.ScheduleRequest].
func (g *Gateway) schedule(w http.ResponseWriter, r *http.Request) error {
	return g.addJob(w, r, gen.StateMutation_SCHEDULE, "schedules", &session.ScheduleRequest{})
}

// enqueue adds an item to the queue. The body is a [session.EnqueueRequest].
func (g *Gateway) enqueue(w http.ResponseWriter, r *http.Request) error {
	return g.addJob(w, r, gen.StateMutation_ENQUEUE, "queue", &session.EnqueueRequest{})
}

func (g *Gateway) addJob(w http.ResponseWriter, r *http.Request, kind gen.StateMutation_Kind, below string, request any) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	m, err := newMutation(r, id, kind)
	if err != nil {
		return err
	}
	// What travels is the body as it came: its payload keeps its spelling.
	if m.payload, err = readJSON(w, r, maxJob, request); err != nil {
		return err
	}
	m.created = func(ref string) string { return sessionPath(id, below, ref) }
	return g.mutate(w, r, m)
}

// listSchedules answers schedules, ?id= &type= &callback= &from= &to= with both ends of the time included.
func (g *Gateway) listSchedules(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	filter, err := jobFilter(query)
	if err != nil {
		return err
	}
	return g.listJobs(w, r, filter, isScheduled)
}

// listQueue answers the items of the queue in their order, those parked as well, ?id= &callback=.
func (g *Gateway) listQueue(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	filter := session.Filter{ID: query.Get("id"), Callback: query.Get("callback")}
	return g.listJobs(w, r, filter, isQueued)
}

func isQueued(j session.Job) bool    { return j.Type == session.JobQueue }
func isScheduled(j session.Job) bool { return j.Type != session.JobQueue }

func jobFilter(query url.Values) (session.Filter, error) {
	filter := session.Filter{ID: query.Get("id"), Type: session.JobType(query.Get("type")), Callback: query.Get("callback")}
	types := []session.JobType{session.JobDelayed, session.JobScheduled, session.JobCron, session.JobInterval}
	if filter.Type != "" && !slices.Contains(types, filter.Type) {
		return filter, invalid("type", "must be one of delayed, scheduled, cron, interval")
	}
	var err error
	if filter.From, err = timeOf("from", query.Get("from")); err != nil {
		return filter, err
	}
	filter.To, err = timeOf("to", query.Get("to"))
	return filter, err
}

func (g *Gateway) listJobs(w http.ResponseWriter, r *http.Request, filter session.Filter, of func(session.Job) bool) error {
	record, err := g.record(r)
	if err != nil {
		return err
	}
	jobs, err := record.Jobs()
	if err != nil {
		return err
	}
	answer := JobList{Jobs: []Job{}}
	for _, job := range session.ListJobs(jobs, filter) {
		if of(job) {
			answer.Jobs = append(answer.Jobs, viewJob(job))
		}
	}
	w.Header().Set("ETag", etag(record.Version))
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (g *Gateway) getSchedule(w http.ResponseWriter, r *http.Request) error {
	return g.getJob(w, r, "schedule", isScheduled)
}

func (g *Gateway) getQueued(w http.ResponseWriter, r *http.Request) error {
	return g.getJob(w, r, "queued item", isQueued)
}

func (g *Gateway) getJob(w http.ResponseWriter, r *http.Request, what string, of func(session.Job) bool) error {
	jobID, err := pathID(r, "job", "jobId")
	if err != nil {
		return err
	}
	record, err := g.record(r)
	if err != nil {
		return err
	}
	jobs, err := record.Jobs()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(jobs, func(j session.Job) bool { return j.ID == jobID && of(j) })
	if i < 0 {
		return &httpError{http.StatusNotFound, "not-found", "the session has no such " + what}
	}
	writeJSON(w, http.StatusOK, viewJob(jobs[i]))
	return nil
}

func (g *Gateway) cancelSchedule(w http.ResponseWriter, r *http.Request) error {
	return g.removeJobs(w, r, gen.StateMutation_CANCEL_SCHEDULE, func(jobID string) any { return session.CancelRequest{ID: jobID} })
}

func (g *Gateway) dequeue(w http.ResponseWriter, r *http.Request) error {
	return g.removeJobs(w, r, gen.StateMutation_DEQUEUE, func(jobID string) any { return session.DequeueRequest{ID: jobID} })
}

func (g *Gateway) removeJobs(w http.ResponseWriter, r *http.Request, kind gen.StateMutation_Kind, payload func(jobID string) any) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	jobID, err := pathID(r, "job", "jobId")
	if err != nil {
		return err
	}
	return g.removeBy(w, r, id, kind, payload(jobID))
}

// clearQueue removes all items of ?callback=, or all with ?all=1. Which is asked for must be said: a parameter that
// was forgotten must not empty a queue.
func (g *Gateway) clearQueue(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	all, err := flag(query.Get("all"))
	if err != nil {
		return invalid("all", "must be 1 or 0")
	}
	request := session.DequeueRequest{Callback: query.Get("callback"), All: all}
	if (request.Callback != "") == all {
		return invalid("callback", "one of callback and all=1 is required")
	}
	return g.removeBy(w, r, id, gen.StateMutation_DEQUEUE, request)
}

func (g *Gateway) removeBy(w http.ResponseWriter, r *http.Request, id string, kind gen.StateMutation_Kind, payload any) error {
	m, err := newMutation(r, id, kind)
	if err != nil {
		return err
	}
	if m.payload, err = json.Marshal(payload); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	return g.mutate(w, r, m)
}
