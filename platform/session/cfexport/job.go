package cfexport

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"vibesdk-gcp/platform/session"
)

// origin is Job.Extra: the row that the job came from. What the job itself has is taken from there when it changed.
type origin struct {
	Table string          `json:"table"`
	Row   json.RawMessage `json:"row"`
	// Wrapper is the object in the payload column of cf_agents_jobs. Neither has the payload.
	Wrapper json.RawMessage `json:"wrapper,omitempty"`
}

func (o origin) encode() json.RawMessage {
	out := row{{"table", quotedOrNull(o.Table)}, {"row", o.Row}}
	if o.Wrapper != nil {
		out = append(out, column{"wrapper", o.Wrapper})
	}
	return compact(out.write())
}

// heartbeat is a callback of the SDK itself in older tables.
const heartbeat = "_cf_keepAliveHeartbeat"

// own reports whether a job is the SDK's.
func own(j session.Job) bool { return strings.HasPrefix(j.ID, "cf:") || j.Callback == heartbeat }

func readSchedule(r row) (j session.Job, ok bool, err error) {
	f := fields{row: r}
	j = session.Job{
		ID: f.text("id"), Callback: f.text("callback"), Type: session.JobType(f.text("type")), Payload: f.json("payload"),
		Due: f.unix("time", time.Second), CreatedAt: f.unix("created_at", time.Second), Retry: f.retry("retry_options"),
		DelaySeconds: f.number("delayInSeconds"), Cron: f.text("cron"), IntervalSeconds: f.number("intervalSeconds"), Run: 1,
	}
	if f.err == nil && j.Type == session.JobQueue {
		f.err = fmt.Errorf("column type must not be queue")
	}
	j.Extra = origin{Table: tableSchedules, Row: r.withoutPayload().write()}.encode()
	return j, !own(j), f.err
}

func readQueued(r row) (j session.Job, ok bool, err error) {
	f := fields{row: r}
	j = session.Job{
		ID: f.text("id"), Callback: f.text("callback"), Type: session.JobQueue, Payload: f.json("payload"),
		CreatedAt: f.unix("created_at", time.Second), Retry: f.retry("retry_options"), Run: 1,
	}
	j.Due = j.CreatedAt
	j.Extra = origin{Table: tableQueues, Row: r.withoutPayload().write()}.encode()
	return j, !own(j), f.err
}

func readJob(r row) (j session.Job, ok bool, err error) {
	f := fields{row: r}
	capability := f.text("capability")
	j = session.Job{ID: f.text("id"), Callback: f.text("fn")}
	if f.err != nil || own(j) || capability != "scheduler" && capability != "queue" {
		return j, false, f.err
	}
	j.Due, j.CreatedAt = f.unix("time", time.Millisecond), f.unix("created_at", time.Second)
	j.Retry, j.Run = f.retry("retry_options"), 1
	wrapper := row{}
	if text := f.json("payload"); text != nil {
		if wrapper, err = readRow(text); err != nil {
			return j, false, fmt.Errorf("column payload: %w", err)
		}
	}
	w := fields{row: wrapper, err: f.err}
	// Inside, the payload is a value and not text.
	j.Payload = wrapper.get("payload")
	j.Type = session.JobQueue
	if capability == "scheduler" {
		j.Type = session.JobType(w.text("type"))
		j.DelaySeconds, j.Cron, j.IntervalSeconds = w.number("delayInSeconds"), w.text("cron"), w.number("intervalSeconds")
	}
	j.Extra = origin{Table: tableJobs, Row: r.withoutPayload().write(), Wrapper: wrapper.withoutPayload().write()}.encode()
	return j, true, w.err
}

func readParked(r row) (j session.Job, ok bool, err error) {
	if err := json.Unmarshal(r.write(), &j); err != nil {
		return j, false, fmt.Errorf("is not a job")
	}
	if j.Type != session.JobQueue || !j.Parked {
		return j, false, fmt.Errorf("is not a parked item of a queue")
	}
	return j, true, nil
}

// fields reads columns until one cannot be read.
type fields struct {
	row row
	err error
}

func (f *fields) text(name string) string {
	s, err := f.row.text(name)
	f.fail(err)
	return s
}

func (f *fields) json(name string) []byte {
	text, err := f.row.json(name)
	f.fail(err)
	return text
}

func (f *fields) number(name string) float64 {
	n, err := f.row.number(name)
	f.fail(err)
	return n
}

// unix is a time since 1970 in whole units.
func (f *fields) unix(name string, unit time.Duration) time.Time {
	n, err := f.row.integer(name)
	f.fail(err)
	perSecond := int64(time.Second / unit)
	whole := int64(math.Floor(float64(n) / float64(perSecond)))
	return time.Unix(whole, (n-whole*perSecond)*int64(unit)).UTC()
}

func (f *fields) retry(name string) (r session.Retry) {
	if text := f.json(name); text != nil && json.Unmarshal(text, &r) != nil {
		f.fail(fmt.Errorf("column %s is not a retry policy", name))
	}
	return r
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}
