package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"vibesdk-gcp/internal/schedule"
)

// ownMark ends the description of each job that is made from the schedule file. A job is ours when its name has the prefix and its
// description this mark: nothing else is ever touched. infra/gcp/modules/schedule makes the same jobs.
const ownMark = " [infra/schedules.yaml]"

// The mask of what is ours of a job; whether it is paused is a person's.
var ownFields = []string{"description", "schedule", "time_zone", "pubsub_target", "retry_config"}

// naming makes names of jobs and topics.
type naming struct {
	project, location   string
	prefix, topicPrefix string
}

func (n naming) parent() string { return "projects/" + n.project + "/locations/" + n.location }

func (n naming) job(name string) string { return n.parent() + "/jobs/" + n.prefix + name }

// short is the name of a job in the schedule file; false for a job without our prefix.
func (n naming) short(job string) (string, bool) {
	return strings.CutPrefix(job, n.parent()+"/jobs/"+n.prefix)
}

func (n naming) owns(job *schedulerpb.Job) bool {
	_, named := n.short(job.GetName())
	return named && strings.HasSuffix(job.GetDescription(), ownMark)
}

// want is the job of an entry.
func (n naming) want(e schedule.Entry) *schedulerpb.Job {
	return &schedulerpb.Job{
		Name:        n.job(e.Name),
		Description: e.Description + ownMark,
		Schedule:    e.Cron,
		TimeZone:    e.TimeZone,
		// A sweep looks at what is so when it runs: the next tick makes up for a lost one, so a few seconds of trying are enough.
		RetryConfig: &schedulerpb.RetryConfig{
			RetryCount:       3,
			MaxRetryDuration: durationpb.New(30 * time.Second), MinBackoffDuration: durationpb.New(2 * time.Second),
			MaxBackoffDuration: durationpb.New(10 * time.Second), MaxDoublings: 2,
		},
		Target: &schedulerpb.Job_PubsubTarget{PubsubTarget: &schedulerpb.PubsubTarget{
			TopicName: "projects/" + n.project + "/topics/" + n.topicPrefix + e.Topic, Data: []byte(e.Payload),
		}},
	}
}

// fields are what is compared of a job, as a person reads it.
func fields(job *schedulerpb.Job) [][2]string {
	target, retry := job.GetPubsubTarget(), job.GetRetryConfig()
	attributes := ""
	if len(target.GetAttributes()) > 0 {
		attributes = fmt.Sprint(target.GetAttributes())
	}
	return [][2]string{
		{"description", strings.TrimSuffix(job.GetDescription(), ownMark)},
		{"cron", job.GetSchedule()},
		{"timeZone", job.GetTimeZone()},
		{"topic", target.GetTopicName()},
		{"payload", string(target.GetData())},
		{"attributes", attributes},
		{"retries", fmt.Sprintf("%d within %s, after %s to %s, %d doublings", retry.GetRetryCount(), retry.GetMaxRetryDuration().AsDuration(),
			retry.GetMinBackoffDuration().AsDuration(), retry.GetMaxBackoffDuration().AsDuration(), retry.GetMaxDoublings())},
	}
}

// Kinds of drift.
const (
	driftMissing = "missing" // in the file, and there is no job
	driftChanged = "changed" // the job is not what the file says
	driftExtra   = "extra"   // the job is ours, and not in the file any more
	driftStopped = "stopped" // the job is as it should be, but paused, disabled or half updated
	driftForeign = "foreign" // a job of that name is not ours
)

// drift is one difference between the file and Cloud Scheduler.
type drift struct {
	Name   string       `json:"name"`
	Kind   string       `json:"kind"`
	Fields []driftField `json:"fields,omitempty"`
	State  string       `json:"state,omitempty"`
	want   *schedulerpb.Job
	have   *schedulerpb.Job
}

type driftField struct {
	Field string `json:"field"`
	File  string `json:"file"`
	Cloud string `json:"cloud"`
}

// compare returns the differences, by name. A job may be changed and stopped at once.
func compare(n naming, entries []schedule.Entry, jobs []*schedulerpb.Job) []drift {
	byName := map[string]*schedulerpb.Job{}
	for _, job := range jobs {
		if short, ok := n.short(job.GetName()); ok {
			byName[short] = job
		}
	}
	var out []drift
	for _, e := range entries {
		want, have := n.want(e), byName[e.Name]
		delete(byName, e.Name)
		d := drift{Name: e.Name, want: want, have: have}
		switch {
		case have == nil:
			d.Kind = driftMissing
			out = append(out, d)
			continue
		case !n.owns(have):
			d.Kind = driftForeign
			out = append(out, d)
			continue
		}
		if d.Fields = differing(want, have); len(d.Fields) > 0 {
			d.Kind = driftChanged
			out = append(out, d)
		}
		if have.GetState() != schedulerpb.Job_ENABLED {
			out = append(out, drift{Name: e.Name, Kind: driftStopped, State: have.GetState().String(), want: want, have: have})
		}
	}
	for name, job := range byName {
		if n.owns(job) {
			out = append(out, drift{Name: name, Kind: driftExtra, have: job})
		}
	}
	slices.SortFunc(out, func(a, b drift) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind)) })
	return out
}

func differing(want, have *schedulerpb.Job) []driftField {
	var out []driftField
	is := fields(have)
	for i, f := range fields(want) {
		if f[1] != is[i][1] {
			out = append(out, driftField{Field: f[0], File: f[1], Cloud: is[i][1]})
		}
	}
	return out
}
