package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas/gen"
)

// agentSchedule is a schedule as the agents SDK has it: times are in seconds since 1970.
type agentSchedule struct {
	ID              string          `json:"id"`
	Callback        string          `json:"callback"`
	Payload         json.RawMessage `json:"payload,omitempty"`
	Type            session.JobType `json:"type"`
	Time            int64           `json:"time"`
	DelayInSeconds  *float64        `json:"delayInSeconds,omitempty"`
	Cron            string          `json:"cron,omitempty"`
	IntervalSeconds float64         `json:"intervalSeconds,omitempty"`
	Retry           session.Retry   `json:"retry,omitzero"`
}

func viewAgentSchedule(j session.Job) agentSchedule {
	s := agentSchedule{
		ID: j.ID, Callback: j.Callback, Payload: j.Payload, Type: j.Type, Time: j.Due.Unix(),
		Cron: j.Cron, IntervalSeconds: j.IntervalSeconds, Retry: j.Retry,
	}
	if j.Type == session.JobDelayed {
		s.DelayInSeconds = &j.DelaySeconds
	}
	return s
}

// agentQueued is an item of the queue as the agents SDK has it.
type agentQueued struct {
	ID        string          `json:"id"`
	Callback  string          `json:"callback"`
	Payload   json.RawMessage `json:"payload,omitempty"`
	CreatedAt int64           `json:"createdAt"`
	Retry     session.Retry   `json:"retry,omitzero"`
}

func viewAgentQueued(j session.Job) agentQueued {
	return agentQueued{ID: j.ID, Callback: j.Callback, Payload: j.Payload, CreatedAt: j.CreatedAt.Unix(), Retry: j.Retry.Resolved()}
}

// jobOptions are the last argument of what makes a job.
type jobOptions struct {
	ID         string        `json:"id"`
	Retry      session.Retry `json:"retry"`
	Idempotent *bool         `json:"idempotent"`
}

func (f agentRequest) options(i int) (o jobOptions, err error) {
	text := f.arg(i)
	if text == nil {
		return o, nil
	}
	// Absent is the default, and 0 is a fault.
	var given struct {
		Retry struct {
			MaxAttempts *int `json:"maxAttempts"`
		} `json:"retry"`
	}
	if json.Unmarshal(text, &o) != nil || json.Unmarshal(text, &given) != nil {
		return o, agentErrorf("%s: the options must be like {\"retry\":{\"maxAttempts\":3},\"idempotent\":true}", f.Method)
	}
	if n := given.Retry.MaxAttempts; n != nil && *n < 1 {
		return o, agentErrorf("retry.maxAttempts must be >= 1")
	}
	return o, nil
}

// callSchedule is schedule(when, callback, payload, options): when is a delay in seconds, a date or a cron expression.
func (c *agentConn) callSchedule(ctx context.Context, f agentRequest) error {
	r, err := f.when()
	if err != nil {
		return err
	}
	return c.addSchedule(ctx, f, r)
}

func (f agentRequest) when() (r session.ScheduleRequest, err error) {
	if text, ok := textOf(f.arg(0)); ok {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			r.At = at // how a Date travels
		} else {
			r.Cron = text
		}
	} else if json.Unmarshal(f.arg(0), &r.DelaySeconds) != nil || r.DelaySeconds == nil {
		return r, agentErrorf("schedule: when must be a delay in seconds, a date or a cron expression")
	}
	return r, nil
}

func (c *agentConn) callScheduleEvery(ctx context.Context, f agentRequest) error {
	var r session.ScheduleRequest
	if json.Unmarshal(f.arg(0), &r.IntervalSeconds) != nil || r.IntervalSeconds == nil {
		return agentErrorf("intervalSeconds must be a positive number")
	}
	return c.addSchedule(ctx, f, r)
}

func (c *agentConn) addSchedule(ctx context.Context, f agentRequest, r session.ScheduleRequest) (err error) {
	if r.Callback, err = f.text(1, "callback"); err != nil {
		return err
	}
	o, err := f.options(3)
	if err != nil {
		return err
	}
	r.Payload, r.ID, r.Retry, r.Idempotent = f.arg(2), o.ID, o.Retry, o.Idempotent
	return c.changeJob(ctx, f, gen.StateMutation_SCHEDULE, r, func(o session.Outcome, record *session.Record) (any, error) {
		job, err := record.Job(o.Ref)
		if errors.Is(err, session.ErrNotFound) {
			return map[string]string{"id": o.Ref}, nil // made, and over before it was seen
		}
		return viewAgentSchedule(job), err
	})
}

func (c *agentConn) changeJob(ctx context.Context, f agentRequest, kind gen.StateMutation_Kind, request any, answer func(session.Outcome, *session.Record) (any, error)) error {
	payload, err := json.Marshal(request)
	if err != nil {
		return agentErrorf("%s: the arguments are not understood", f.Method)
	}
	return c.change(ctx, f, kind, payload, answer)
}

// callQueue is queue(callback, payload, options) and answers the item's id.
func (c *agentConn) callQueue(ctx context.Context, f agentRequest) error {
	callback, err := f.text(0, "callback")
	if err != nil {
		return err
	}
	o, err := f.options(2)
	if err != nil {
		return err
	}
	r := session.EnqueueRequest{ID: o.ID, Callback: callback, Payload: f.arg(1), Retry: o.Retry}
	return c.changeJob(ctx, f, gen.StateMutation_ENQUEUE, r, func(o session.Outcome, _ *session.Record) (any, error) { return o.Ref, nil })
}

// callCancelSchedule answers whether there was a schedule with this id.
func (c *agentConn) callCancelSchedule(ctx context.Context, f agentRequest) error {
	id, err := f.text(0, "id")
	if err != nil {
		return err
	}
	c.settle(ctx, 0)
	// A rejection would be an error on the client's side, and none is needed where it is plain that nothing is there.
	if r := c.s.current(); r == nil {
		c.reply(f.ID, false)
		return nil
	} else if job, err := r.Job(id); errors.Is(err, session.ErrNotFound) || err == nil && !isScheduled(job) {
		c.reply(f.ID, false)
		return nil
	}
	return c.changeJob(ctx, f, gen.StateMutation_CANCEL_SCHEDULE, session.CancelRequest{ID: id}, func(session.Outcome, *session.Record) (any, error) { return true, nil })
}

// callDequeue answers whether there was an item with this id.
func (c *agentConn) callDequeue(ctx context.Context, f agentRequest) error {
	id, err := f.text(0, "id")
	if err != nil {
		return err
	}
	return c.dequeue(ctx, f, session.DequeueRequest{ID: id}, func(n int) any { return n > 0 })
}

// callDequeueAll and callDequeueAllByCallback answer how many items there were.
func (c *agentConn) callDequeueAll(ctx context.Context, f agentRequest) error {
	return c.dequeue(ctx, f, session.DequeueRequest{All: true}, func(n int) any { return n })
}

func (c *agentConn) callDequeueAllByCallback(ctx context.Context, f agentRequest) error {
	callback, err := f.text(0, "callback")
	if err != nil {
		return err
	}
	return c.dequeue(ctx, f, session.DequeueRequest{Callback: callback}, func(n int) any { return n })
}

func (c *agentConn) dequeue(ctx context.Context, f agentRequest, r session.DequeueRequest, answer func(n int) any) error {
	return c.changeJob(ctx, f, gen.StateMutation_DEQUEUE, r, func(o session.Outcome, _ *session.Record) (any, error) {
		n, err := strconv.Atoi(o.Ref)
		return answer(n), err
	})
}

// callGetSchedule answers undefined when there is none with this id.
func (c *agentConn) callGetSchedule(ctx context.Context, f agentRequest) error {
	id, err := f.text(0, "id")
	if err != nil {
		return err
	}
	return c.view(ctx, f, func(r *session.Record) (any, error) {
		jobs, err := jobsOf(r, session.Filter{ID: id}, isScheduled)
		if err != nil || len(jobs) == 0 {
			return nil, err
		}
		return viewAgentSchedule(jobs[0]), nil
	})
}

// callGetSchedules is getSchedules({id, type, timeRange: {start, end}}), both ends of the time included.
func (c *agentConn) callGetSchedules(ctx context.Context, f agentRequest) error {
	filter, err := f.criteria()
	if err != nil {
		return err
	}
	return c.view(ctx, f, func(r *session.Record) (any, error) {
		jobs, err := jobsOf(r, filter, isScheduled)
		list := make([]agentSchedule, len(jobs))
		for i, j := range jobs {
			list[i] = viewAgentSchedule(j)
		}
		return list, err
	})
}

func (f agentRequest) criteria() (session.Filter, error) {
	var criteria struct {
		ID        string          `json:"id"`
		Type      session.JobType `json:"type"`
		TimeRange struct {
			Start time.Time `json:"start"`
			End   time.Time `json:"end"`
		} `json:"timeRange"`
	}
	if text := f.arg(0); text != nil && json.Unmarshal(text, &criteria) != nil {
		return session.Filter{}, agentErrorf("%s: the criteria must be like {\"type\":\"cron\",\"timeRange\":{\"start\":…,\"end\":…}}", f.Method)
	}
	return session.Filter{ID: criteria.ID, Type: criteria.Type, From: criteria.TimeRange.Start, To: criteria.TimeRange.End}, nil
}

// callGetQueue answers undefined when there is no item with this id.
func (c *agentConn) callGetQueue(ctx context.Context, f agentRequest) error {
	id, err := f.text(0, "id")
	if err != nil {
		return err
	}
	return c.view(ctx, f, func(r *session.Record) (any, error) {
		jobs, err := jobsOf(r, session.Filter{ID: id}, isQueued)
		if err != nil || len(jobs) == 0 {
			return nil, err
		}
		return viewAgentQueued(jobs[0]), nil
	})
}

// callGetQueues is getQueues(key, value): the items whose payload has this member.
func (c *agentConn) callGetQueues(ctx context.Context, f agentRequest) error {
	key, err := f.text(0, "key")
	if err != nil {
		return err
	}
	return c.view(ctx, f, func(r *session.Record) (any, error) {
		jobs, err := jobsOf(r, session.Filter{PayloadKey: key, PayloadValue: f.arg(1)}, isQueued)
		list := make([]agentQueued, len(jobs))
		for i, j := range jobs {
			list[i] = viewAgentQueued(j)
		}
		return list, err
	})
}

func jobsOf(r *session.Record, filter session.Filter, of func(session.Job) bool) ([]session.Job, error) {
	if r == nil {
		return nil, nil
	}
	all, err := r.Jobs()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(session.ListJobs(all, filter), func(j session.Job) bool { return !of(j) }), nil
}
