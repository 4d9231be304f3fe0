package cloudscheduler

import (
	"cmp"
	"slices"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"

	"vibesdk-gcp/internal/schedule"
)

// Kinds of drift.
const (
	Missing = "missing" // in the file, and there is no job
	Changed = "changed" // the job is not what the file says
	Extra   = "extra"   // the job is ours, and not in the file any more
	Stopped = "stopped" // the job is as it should be, but paused, disabled or half updated
	Foreign = "foreign" // a job of that name is not ours
)

// Drift is one difference between the file and Cloud Scheduler.
type Drift struct {
	Name   string       `json:"name"`
	Kind   string       `json:"kind"`
	Fields []DriftField `json:"fields,omitempty"`
	State  string       `json:"state,omitempty"`
	// Want is the job as the file says, nil for one that is extra, and Have the job as it is, nil when there is none.
	Want *schedulerpb.Job `json:"-"`
	Have *schedulerpb.Job `json:"-"`
}

// DriftField is a field that differs, as people read it.
type DriftField struct {
	Field string `json:"field"`
	File  string `json:"file"`
	Cloud string `json:"cloud"`
}

// Compare returns the differences, by name. A job may be changed and stopped at once.
func Compare(n Naming, entries []schedule.Entry, jobs []*schedulerpb.Job) []Drift {
	byName := map[string]*schedulerpb.Job{}
	for _, job := range jobs {
		if short, ok := n.Short(job.GetName()); ok {
			byName[short] = job
		}
	}
	var out []Drift
	for _, e := range entries {
		want, have := n.Want(e), byName[e.Name]
		delete(byName, e.Name)
		d := Drift{Name: e.Name, Want: want, Have: have}
		switch {
		case have == nil:
			d.Kind = Missing
			out = append(out, d)
			continue
		case !n.Owns(have):
			d.Kind = Foreign
			out = append(out, d)
			continue
		}
		if d.Fields = differing(want, have); len(d.Fields) > 0 {
			d.Kind = Changed
			out = append(out, d)
		}
		if have.GetState() != schedulerpb.Job_ENABLED {
			out = append(out, Drift{Name: e.Name, Kind: Stopped, State: have.GetState().String(), Want: want, Have: have})
		}
	}
	for name, job := range byName {
		if n.Owns(job) {
			out = append(out, Drift{Name: name, Kind: Extra, Have: job})
		}
	}
	slices.SortFunc(out, func(a, b Drift) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind)) })
	return out
}

func differing(want, have *schedulerpb.Job) []DriftField {
	var out []DriftField
	is := fields(have)
	for i, f := range fields(want) {
		if f[1] != is[i][1] {
			out = append(out, DriftField{Field: f[0], File: f[1], Cloud: is[i][1]})
		}
	}
	return out
}
