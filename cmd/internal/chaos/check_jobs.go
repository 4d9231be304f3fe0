package chaos

import (
	"maps"
	"slices"
	"time"
)

// jobs holds the calls of the agent host against what was asked for.
func (c *checker) jobs(h *History, f Final) {
	parked := parked(f)
	type run struct {
		job string
		run int64
	}
	keys, runs := map[run]string{}, map[string]run{}
	first, done := map[string]int{}, map[string]bool{} // the position of a job's first call, from 1
	for i, call := range h.Calls {
		j := h.Jobs[call.Job]
		if j == nil || j.Session != call.Session {
			c.add(Invented, "job %s of session %s was called, which nobody sent to it", call.Job, call.Session)
			continue
		}
		r := run{call.Job, call.Run}
		if key, ok := keys[r]; ok && key != call.Key {
			c.add(Wrong, "run %d of job %s was called under %s and under %s", call.Run, call.Job, key, call.Key)
		}
		if other, ok := runs[call.Key]; ok && other != r {
			c.add(Wrong, "run %d of job %s and run %d of job %s were called under %s", call.Run, call.Job, other.run, other.job, call.Key)
		}
		keys[r], runs[call.Key] = call.Key, r
		if first[call.Job] == 0 {
			first[call.Job] = i + 1
		}
		if call.At.Before(j.NotBefore.Truncate(time.Microsecond)) { // times are kept to the microsecond
			c.add(Early, "job %s was called %s before its time", call.Job, j.NotBefore.Sub(call.At))
		}
		done[call.Job] = done[call.Job] || call.Answered
	}
	for _, id := range slices.Sorted(maps.Keys(h.Jobs)) {
		j := h.Jobs[id]
		left, there := f.Jobs[id]
		switch {
		case there && !left.Parked:
			c.add(Waiting, "job %s of session %s is still there", id, j.Session)
		case there && j.Outcome == Rejected:
			c.add(Invented, "job %s of session %s was rejected and is there", id, j.Session)
		case first[id] > 0 && j.Outcome == Rejected:
			c.add(Invented, "job %s of session %s was rejected and was called", id, j.Session)
		case j.Outcome.durable() && !done[id] && !there && !parked[id]:
			c.add(Lost, "job %s of session %s was %s and never called with success", id, j.Session, j.Outcome)
		}
	}
	c.queues(h, first)
}

// queues holds that the first calls of a queue come in the order in which its items were accepted.
func (c *checker) queues(h *History, first map[string]int) {
	bySession := map[string][]*Job{}
	for id, j := range h.Jobs {
		if j.Queued && first[id] > 0 {
			bySession[j.Session] = append(bySession[j.Session], j)
		}
	}
	for _, session := range slices.Sorted(maps.Keys(bySession)) {
		items := bySession[session]
		slices.SortFunc(items, func(a, b *Job) int { return first[a.ID] - first[b.ID] })
		var before *Job
		for _, j := range slices.Backward(items) {
			if before != nil && before.Known < j.Invoked {
				c.add(Reordered, "session %s: %s was called before %s, which was %s before the other was sent", session, j.ID, before.ID, before.Outcome)
			}
			if j.Known > 0 && (before == nil || j.Known < before.Known) {
				before = j
			}
		}
	}
}
