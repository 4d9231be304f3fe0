package session

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"vibesdk-gcp/internal/jsondoc"
)

// What Outcome.Ref of a FinishJob is.
const (
	// FinishDone: it ran, and is removed.
	FinishDone = "done"
	// FinishRetry: it failed and is due again.
	FinishRetry = "retry"
	// FinishParked: an item of the queue failed for good.
	FinishParked = "parked"
	// FinishFailed: a one-shot failed for good, and is removed.
	FinishFailed = "failed"
	// FinishNext: a recurring job waits for its next occurrence, whether this one went well or failed for good.
	FinishNext = "next"
	// FinishDropped: the run is not the one that this holder has a claim on, and nothing was changed.
	FinishDropped = "dropped"
)

// job applies the mutations of jobs.
func (f *folding) job(m Mutation) (ref string, err error) {
	l, err := f.jobs()
	if err != nil {
		return "", err
	}
	switch m.Kind {
	case Schedule:
		ref, err = f.schedule(l, m)
	case Enqueue:
		ref, err = f.enqueue(l, m)
	case Cancel:
		err = cancel(l, m)
	case Dequeue:
		ref, err = dequeue(l, m)
	case StartJob:
		err = f.start(l, m)
	default:
		ref, err = f.finish(l, m)
	}
	if len(l.entries) == 0 {
		delete(f.parts, PartJobs)
	}
	return ref, err
}

// jobs is the jobs part, an empty one when there is none.
func (f *folding) jobs() (*jobList, error) {
	p := f.parts[PartJobs]
	if p == nil {
		p = &part{doc: &jobList{byID: map[string]*jobEntry{}}}
		f.parts[PartJobs] = p
	}
	if p.doc == nil {
		l, err := readJobs(p.was.Data)
		if err != nil {
			return nil, err
		}
		p.doc = l
	}
	return p.doc.(*jobList), nil
}

// derivedID is the id of a job whose request has none, always the same for a mutation.
func derivedID(mutationID string) string {
	sum := sha256.Sum256([]byte(mutationID))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func (f *folding) schedule(l *jobList, m Mutation) (string, error) {
	var r ScheduleRequest
	if err := decodeRequest(m.Payload, &r); err != nil {
		return "", err
	}
	if err := explicitRetry(m.Payload); err != nil {
		return "", err
	}
	id := cmp.Or(r.ID, derivedID(m.ID))
	j := Job{ID: id, Callback: r.Callback, Payload: r.Payload, CreatedAt: f.now, Cron: r.Cron, Retry: r.Retry, Run: 1}
	if err := j.plan(r, f.now); err != nil {
		return "", err
	}
	if err := j.validate(); err != nil {
		return "", err
	}
	e, err := newEntry(j)
	if err != nil {
		return "", err
	}
	again := j.Type == JobCron || j.Type == JobInterval
	if r.Idempotent != nil {
		again = *r.Idempotent
	}
	if again {
		for _, old := range l.entries {
			if old.sameSchedule(e) {
				return old.id, nil
			}
		}
	}
	f.appear()
	old := l.byID[id]
	switch {
	case old == nil:
		return id, l.add(e)
	case old.jobType == JobQueue:
		return "", fmt.Errorf("%w: id is that of an item of the queue", ErrInvalid)
	case r.ID == "":
		// Only the same mutation derives the same id.
		return id, nil
	}
	return id, l.renew(old, j)
}

// sameSchedule reports whether two schedules are one for Idempotent.
func (e *jobEntry) sameSchedule(o *jobEntry) bool {
	return e.jobType == o.jobType && e.callback == o.callback && bytes.Equal(e.payload, o.payload) &&
		bytes.Equal(e.cron, o.cron) && bytes.Equal(e.interval, o.interval)
}

// renew replaces a job by a request with its id. Runs that were started before are no longer current.
func (l *jobList) renew(old *jobEntry, j Job) error {
	was, err := old.job()
	if err != nil {
		return err
	}
	j.Run, j.CreatedAt, j.Extra = was.Run+1, was.CreatedAt, was.Extra
	e, err := newEntry(j)
	if err != nil {
		return err
	}
	l.replace(e)
	return nil
}

func cancel(l *jobList, m Mutation) error {
	var r CancelRequest
	if err := decodeRequest(m.Payload, &r); err != nil {
		return err
	}
	if e := l.byID[r.ID]; e == nil || e.jobType == JobQueue {
		return fmt.Errorf("%w: there is no such schedule", ErrNotFound)
	}
	l.remove(func(e *jobEntry) bool { return e.id == r.ID })
	return nil
}

func (f *folding) enqueue(l *jobList, m Mutation) (string, error) {
	var r EnqueueRequest
	if err := decodeRequest(m.Payload, &r); err != nil {
		return "", err
	}
	if err := explicitRetry(m.Payload); err != nil {
		return "", err
	}
	id := cmp.Or(r.ID, derivedID(m.ID))
	j := Job{ID: id, Type: JobQueue, Callback: r.Callback, Payload: r.Payload, Due: f.now, CreatedAt: f.now, Retry: r.Retry, Run: 1}
	if err := j.validate(); err != nil {
		return "", err
	}
	f.appear()
	old := l.byID[id]
	switch {
	case old == nil:
		e, err := newEntry(j)
		if err != nil {
			return "", err
		}
		return id, l.add(e)
	case old.jobType != JobQueue:
		return "", fmt.Errorf("%w: id is that of a schedule", ErrInvalid)
	case r.ID == "":
		return id, nil
	}
	if old.due.Before(j.Due) {
		j.Due = old.due
	}
	return id, l.renew(old, j)
}

func dequeue(l *jobList, m Mutation) (string, error) {
	var r DequeueRequest
	if err := decodeRequest(m.Payload, &r); err != nil {
		return "", err
	}
	set := 0
	for _, given := range []bool{r.ID != "", r.Callback != "", r.All} {
		if given {
			set++
		}
	}
	if set != 1 {
		return "", fmt.Errorf("%w: exactly one of id, callback and all must be given", ErrInvalid)
	}
	n := l.remove(func(e *jobEntry) bool {
		return e.jobType == JobQueue && (r.All || r.ID != "" && e.id == r.ID || r.Callback != "" && e.callback == r.Callback)
	})
	return strconv.Itoa(n), nil
}

func (f *folding) start(l *jobList, m Mutation) error {
	var r StartRequest
	if err := decodeRequest(m.Payload, &r); err != nil {
		return err
	}
	until := r.Until.UTC().Truncate(time.Microsecond)
	if err := checkText("holder", r.Holder, MaxID); err != nil {
		return err
	}
	if !until.After(f.now) || until.Sub(f.now) > MaxClaim {
		return fmt.Errorf("%w: until must be in the future, and at most %s away", ErrInvalid, MaxClaim)
	}
	e := l.byID[r.ID]
	if e == nil {
		return fmt.Errorf("%w: there is no such job", ErrNotFound)
	}
	j, err := e.job()
	if err != nil {
		return err
	}
	switch {
	case j.Run != r.Run:
		return fmt.Errorf("%w: run is %d, not %d", ErrConflict, j.Run, r.Run)
	case j.Parked:
		return fmt.Errorf("%w: the item is parked", ErrConflict)
	case j.Type == JobQueue && l.head() != e:
		return fmt.Errorf("%w: the item is not the first of its queue", ErrConflict)
	case j.Holder != "" && j.Holder != r.Holder && f.now.Before(j.HeldUntil):
		return fmt.Errorf("%w: the run is claimed until %s", ErrConflict, j.HeldUntil.Format(time.RFC3339Nano))
	}
	if j.Type == JobInterval && j.Attempt == 0 && j.Holder == "" {
		j.Missed += j.passed(f.now)
	}
	j.Holder, j.HeldUntil = r.Holder, until
	return l.update(j)
}

// update replaces a job by its new state.
func (l *jobList) update(j Job) error {
	e, err := newEntry(j)
	if err == nil {
		l.replace(e)
	}
	return err
}

func (f *folding) finish(l *jobList, m Mutation) (string, error) {
	var r FinishRequest
	if err := decodeRequest(m.Payload, &r); err != nil {
		return "", err
	}
	if err := checkText("holder", r.Holder, MaxID); err != nil {
		return "", err
	}
	e := l.byID[r.ID]
	if e == nil {
		return FinishDropped, nil
	}
	j, err := e.job()
	if err != nil {
		return "", err
	}
	if j.Run != r.Run || j.Holder != r.Holder {
		return FinishDropped, nil
	}
	j.Holder, j.HeldUntil = "", time.Time{}
	failed := r.Error != "" || r.Permanent
	j.LastError = ""
	if failed {
		j.Attempt++
		j.LastError = shorten(cmp.Or(r.Error, "failed"), MaxJobError)
		if !r.Permanent && j.Attempt < j.Retry.Resolved().MaxAttempts {
			due := f.now.Add(j.backoff())
			if j.Type == JobCron {
				j.Missed += j.passed(due)
			}
			j.Due = due
			j.Run++
			return FinishRetry, l.update(j)
		}
	}
	switch {
	case j.Type == JobCron || j.Type == JobInterval:
		if j.Type == JobCron {
			j.Missed += j.passed(f.now)
		}
		if j.Due = j.next(f.now); !j.Due.IsZero() {
			j.Attempt = 0
			j.Run++
			return FinishNext, l.update(j)
		}
	case j.Type == JobQueue && failed:
		j.Parked = true
		return FinishParked, l.update(j)
	}
	l.remove(func(e *jobEntry) bool { return e.id == j.ID })
	if failed {
		return FinishFailed, nil
	}
	return FinishDone, nil
}

// explicitRetry rejects a maxAttempts of 0, which decoding cannot tell from none.
func explicitRetry(payload []byte) error {
	doc, err := jsondoc.New(payload)
	if err != nil {
		return rejected("payload", err)
	}
	if value, err := doc.Get("/retry/maxAttempts"); err == nil && string(value) == "0" {
		return errMaxAttempts
	}
	return nil
}
