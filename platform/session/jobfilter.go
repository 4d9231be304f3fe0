package session

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"vibesdk-gcp/internal/jsondoc"
)

// Filter selects jobs. What is not set selects all.
type Filter struct {
	ID       string
	Type     JobType
	Callback string
	// From and To bound Due, both inclusive.
	From, To time.Time
	// PayloadKey and PayloadValue select jobs whose payload is an object with this member. Numbers are compared by value,
	// objects and arrays never match.
	PayloadKey   string
	PayloadValue json.RawMessage
}

// ListJobs returns the jobs that f selects, in the order given.
func ListJobs(jobs []Job, f Filter) []Job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j Job) bool { return !f.match(j) })
}

func (f Filter) match(j Job) bool {
	switch {
	case f.ID != "" && j.ID != f.ID,
		f.Type != "" && j.Type != f.Type,
		f.Callback != "" && j.Callback != f.Callback,
		!f.From.IsZero() && j.Due.Before(f.From),
		!f.To.IsZero() && j.Due.After(f.To):
		return false
	case f.PayloadKey == "":
		return true
	}
	value, ok := bytes.TrimSpace(f.PayloadValue), false
	if len(value) == 0 || value[0] == '{' || value[0] == '[' || len(j.Payload) == 0 || j.Payload[0] != '{' {
		return false
	}
	// The last member counts, so the walk goes on.
	err := jsondoc.Object(j.Payload, func(key string, have []byte) error {
		if key == f.PayloadKey {
			ok = jsondoc.Equal(have, value)
		}
		return nil
	})
	return ok && err == nil
}
