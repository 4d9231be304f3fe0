package session

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// ReadyAt is when the next run of the job may begin: when it is due, and not before a claim on it ends.
func (j Job) ReadyAt() time.Time {
	if j.HeldUntil.After(j.Due) {
		return j.HeldUntil
	}
	return j.Due
}

// Jobs returns the schedules ordered by Due, and among them the items of the queue, in their order, by when they were made.
// What comes at the same time is in the order in which it was made. An error means that the part is damaged.
func (r *Record) Jobs() ([]Job, error) {
	l, err := r.jobs()
	if err != nil {
		return nil, err
	}
	jobs, err := decodeJobs(l.entries)
	if err != nil {
		return nil, err
	}
	// A clock that was set back must not change the order of the queue.
	place := make(map[string]time.Time, len(jobs))
	var last time.Time
	for _, j := range jobs {
		place[j.ID] = j.Due
		if j.Type == JobQueue {
			if j.CreatedAt.After(last) {
				last = j.CreatedAt
			}
			place[j.ID] = last
		}
	}
	slices.SortStableFunc(jobs, func(a, b Job) int { return place[a.ID].Compare(place[b.ID]) })
	return jobs, nil
}

// Job returns one job. ErrNotFound when there is none with this id.
func (r *Record) Job(id string) (Job, error) {
	l, err := r.jobs()
	if err != nil {
		return Job{}, err
	}
	e := l.byID[id]
	if e == nil {
		return Job{}, fmt.Errorf("%w: there is no such job", ErrNotFound)
	}
	return e.job()
}

// Ready returns the runs that may begin at or before by, ordered by [Job.ReadyAt] and then as they were made: due schedules,
// and the first item of the queue. Jobs that somebody holds a claim on are among them with the end of the claim as their
// time. An error means that the part is damaged.
func (r *Record) Ready(by time.Time) ([]Job, error) {
	l, err := r.jobs()
	if err != nil {
		return nil, err
	}
	ready := slices.DeleteFunc(l.waiting(), func(e *jobEntry) bool { return e.readyAt().After(by) })
	slices.SortStableFunc(ready, func(a, b *jobEntry) int { return a.readyAt().Compare(b.readyAt()) })
	return decodeJobs(ready)
}

func (r *Record) jobs() (*jobList, error) {
	p, ok := r.Parts[PartJobs]
	if !ok {
		return &jobList{}, nil
	}
	return readJobs(p.Data)
}

func decodeJobs(entries []*jobEntry) ([]Job, error) {
	out := make([]Job, 0, len(entries))
	for _, e := range entries {
		j, err := e.job()
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// importJobs reads the jobs part of an import. Claims are not taken over: nobody here can end those runs.
func importJobs(data []byte) (*jobList, error) {
	var jobs []Job
	if err := decodeRequest(data, &jobs); err != nil {
		return nil, err
	}
	l := &jobList{byID: make(map[string]*jobEntry, len(jobs))}
	for i, j := range jobs {
		j.Due, j.CreatedAt = j.Due.UTC().Truncate(time.Microsecond), j.CreatedAt.UTC().Truncate(time.Microsecond)
		j.Holder, j.HeldUntil = "", time.Time{}
		j.LastError = shorten(j.LastError, MaxJobError)
		err := j.validate()
		if err == nil && l.byID[j.ID] != nil {
			err = fmt.Errorf("%w: id is that of another job as well", ErrInvalid)
		}
		if err != nil {
			return nil, fmt.Errorf("jobs[%d]: %w", i, err)
		}
		e, err := newEntry(j)
		if err != nil {
			return nil, err
		}
		if err := l.add(e); err != nil {
			return nil, err
		}
	}
	l.Commit()
	return l, nil
}

// EncodeJobs writes jobs as an [ImportRequest] has them, in the order given: the order in which they were made.
func EncodeJobs(jobs []Job) (json.RawMessage, error) {
	l := &jobList{}
	for _, j := range jobs {
		e, err := newEntry(j)
		if err != nil {
			return nil, err
		}
		l.entries = append(l.entries, e)
		l.size += len(e.text)
	}
	return l.Bytes(), nil
}
