package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"vibesdk-gcp/internal/jsondoc"
)

// jobList is the jobs part in the making: a JSON array of jobs in the order in which they were made, each with the fields of
// [Job] in their order. Of each job only what finds and orders it is read, the rest stays text.
type jobList struct {
	entries []*jobEntry
	byID    map[string]*jobEntry
	// size is how many bytes the entries have together.
	size int
	undo []func()
}

// jobEntry is one job. It never changes; a job that does gets another one.
type jobEntry struct {
	id, callback string
	jobType      JobType
	due, until   time.Time
	parked       bool
	// payload, cron and interval are JSON text, empty when the job has none.
	payload, cron, interval []byte
	text                    []byte
}

// readJobs reads a stored jobs part.
func readJobs(data []byte) (*jobList, error) {
	n := bytes.Count(data, []byte(`{"id":`))
	l := &jobList{entries: make([]*jobEntry, 0, n), byID: make(map[string]*jobEntry, n)}
	// Allocated together: there may be thousands. The guess is right for what we wrote.
	entries := make([]jobEntry, n)
	next := func() *jobEntry {
		if len(entries) == 0 {
			entries = make([]jobEntry, 1)
		}
		e := &entries[0]
		entries = entries[1:]
		return e
	}
	e := next()
	err := jsondoc.Rows(data, func(key, value []byte) error { return e.read(key, value, l) }, func(text []byte) error {
		e.text = text
		l.entries = append(l.entries, e)
		l.byID[e.id] = e
		l.size += len(text)
		e = next()
		return nil
	})
	if err != nil {
		return nil, rejected("stored jobs", err)
	}
	return l, nil
}

// read takes one member of a job.
func (e *jobEntry) read(key, value []byte, l *jobList) (err error) {
	switch string(key) {
	case "id":
		e.id, err = jsondoc.Unquote(value)
	case "type":
		e.jobType, err = readType(value)
	case "callback":
		// Most jobs of a session call the same few.
		if n := len(l.entries); n > 0 && value[0] == '"' && string(value[1:len(value)-1]) == l.entries[n-1].callback && bytes.IndexByte(value, '\\') < 0 {
			e.callback = l.entries[n-1].callback
			return nil
		}
		e.callback, err = jsondoc.Unquote(value)
	case "due":
		e.due, err = readTime(value)
	case "heldUntil":
		e.until, err = readTime(value)
	case "parked":
		e.parked = value[0] == 't'
	case "payload":
		e.payload = value
	case "cron":
		e.cron = value
	case "intervalSeconds":
		e.interval = value
	}
	return err
}

func readType(quoted []byte) (JobType, error) {
	for _, t := range []JobType{JobQueue, JobDelayed, JobScheduled, JobCron, JobInterval} {
		if string(quoted[1:max(len(quoted)-1, 1)]) == string(t) {
			return t, nil
		}
	}
	return "", fmt.Errorf("%w: no type of job", jsondoc.ErrInvalid)
}

func readTime(quoted []byte) (at time.Time, err error) {
	if quoted[0] != '"' || at.UnmarshalText(quoted[1:len(quoted)-1]) != nil {
		return time.Time{}, fmt.Errorf("%w: not a time", jsondoc.ErrInvalid)
	}
	return at, nil
}

// newEntry encodes a job.
func newEntry(j Job) (*jobEntry, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	// HTML is not what payloads are read as, and they should come back as they were given.
	enc.SetEscapeHTML(false)
	if err := enc.Encode(j); err != nil {
		return nil, fmt.Errorf("%w: job cannot be encoded", ErrInvalid)
	}
	b.Truncate(b.Len() - 1) // the end of the line
	l, err := readJobs(append([]byte("["), append(b.Bytes(), ']')...))
	if err != nil {
		return nil, err
	}
	return l.entries[0], nil
}

func (e *jobEntry) job() (Job, error) {
	var j Job
	if err := json.Unmarshal(e.text, &j); err != nil {
		return Job{}, fmt.Errorf("%w: stored job cannot be read", ErrInvalid)
	}
	return j, nil
}

// readyAt is Job.ReadyAt.
func (e *jobEntry) readyAt() time.Time {
	if e.until.After(e.due) {
		return e.until
	}
	return e.due
}

// Len, Bytes, Commit and Rollback make it a document.
func (l *jobList) Len() int { return l.size + 2 + max(len(l.entries)-1, 0) }

func (l *jobList) Bytes() []byte {
	out := append(make([]byte, 0, l.Len()), '[')
	for i, e := range l.entries {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e.text...)
	}
	return append(out, ']')
}

func (l *jobList) Commit() {
	clear(l.undo)
	l.undo = l.undo[:0]
}

func (l *jobList) Rollback() {
	for i := len(l.undo) - 1; i >= 0; i-- {
		l.undo[i]()
	}
	l.Commit()
}

func (l *jobList) add(e *jobEntry) error {
	if len(l.entries) >= MaxJobs {
		return fmt.Errorf("%w: a session has at most %d jobs", ErrTooLarge, MaxJobs)
	}
	l.entries = append(l.entries, e)
	l.byID[e.id] = e
	l.size += len(e.text)
	l.undo = append(l.undo, func() {
		l.entries = l.entries[:len(l.entries)-1]
		delete(l.byID, e.id)
		l.size -= len(e.text)
	})
	return nil
}

// replace puts e in the place of a job with the same id.
func (l *jobList) replace(e *jobEntry) {
	old := l.byID[e.id]
	i := slices.Index(l.entries, old)
	put := func(in, out *jobEntry) {
		l.entries[i], l.byID[e.id] = in, in
		l.size += len(in.text) - len(out.text)
	}
	put(e, old)
	l.undo = append(l.undo, func() { put(old, e) })
}

// remove removes the jobs that match and returns how many.
func (l *jobList) remove(match func(*jobEntry) bool) int {
	entries, size := l.entries, l.size
	kept := make([]*jobEntry, 0, len(entries))
	var gone []*jobEntry
	for _, e := range entries {
		if !match(e) {
			kept = append(kept, e)
			continue
		}
		gone = append(gone, e)
		delete(l.byID, e.id)
		l.size -= len(e.text)
	}
	l.entries = kept
	l.undo = append(l.undo, func() {
		l.entries, l.size = entries, size
		for _, e := range gone {
			l.byID[e.id] = e
		}
	})
	return len(gone)
}

// head is the first item of the queue that is not parked, or nil.
func (l *jobList) head() *jobEntry {
	for _, e := range l.entries {
		if e.jobType == JobQueue && !e.parked {
			return e
		}
	}
	return nil
}

// waiting returns the jobs that may run one day: all schedules and the first item of the queue.
func (l *jobList) waiting() []*jobEntry {
	head := l.head()
	var out []*jobEntry
	for _, e := range l.entries {
		if e.jobType != JobQueue || e == head {
			out = append(out, e)
		}
	}
	return out
}

// alarm is when the first of them may run, zero when there is none.
func (l *jobList) alarm() time.Time {
	var at time.Time
	for _, e := range l.waiting() {
		if ready := e.readyAt(); at.IsZero() || ready.Before(at) {
			at = ready
		}
	}
	return at
}
