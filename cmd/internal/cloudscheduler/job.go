package cloudscheduler

import (
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"vibesdk-gcp/internal/schedule"
)

// OwnMark ends the description of each job that is made from the schedule file. A job is ours when its name has the prefix and its
// description this mark: nothing else is ever touched. infra/gcp/modules/schedule makes the same jobs.
const OwnMark = " [infra/schedules.yaml]"

// The mask of what is ours of a job; whether it is paused is a person's.
var ownFields = []string{"description", "schedule", "time_zone", "pubsub_target", "retry_config"}

// Naming makes names of jobs and topics.
type Naming struct {
	// Project is that of the jobs and the topics, and Location the region of the jobs.
	Project, Location string
	// Prefix stands before the names of the jobs and ends with a dash, TopicPrefix before those of the topics.
	Prefix, TopicPrefix string
}

func (n Naming) parent() string { return "projects/" + n.Project + "/locations/" + n.Location }

// Job is the full name of a job, by its name in the schedule file.
func (n Naming) Job(name string) string { return n.parent() + "/jobs/" + n.Prefix + name }

// Short is the name of a job in the schedule file; false for a job without our prefix.
func (n Naming) Short(job string) (string, bool) {
	return strings.CutPrefix(job, n.parent()+"/jobs/"+n.Prefix)
}

// Owns reports whether a job was made from a schedule file of ours.
func (n Naming) Owns(job *schedulerpb.Job) bool {
	_, named := n.Short(job.GetName())
	return named && strings.HasSuffix(job.GetDescription(), OwnMark)
}

// Want is the job of an entry.
func (n Naming) Want(e schedule.Entry) *schedulerpb.Job {
	return &schedulerpb.Job{
		Name:        n.Job(e.Name),
		Description: e.Description + OwnMark,
		Schedule:    e.Cron,
		TimeZone:    e.TimeZone,
		// A sweep looks at what is so when it runs: the next tick makes up for a lost one, so a few seconds of trying are enough.
		RetryConfig: &schedulerpb.RetryConfig{
			RetryCount:       3,
			MaxRetryDuration: durationpb.New(30 * time.Second), MinBackoffDuration: durationpb.New(2 * time.Second),
			MaxBackoffDuration: durationpb.New(10 * time.Second), MaxDoublings: 2,
		},
		Target: &schedulerpb.Job_PubsubTarget{PubsubTarget: &schedulerpb.PubsubTarget{
			TopicName: "projects/" + n.Project + "/topics/" + n.TopicPrefix + e.Topic, Data: []byte(e.Payload),
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
		{"description", strings.TrimSuffix(job.GetDescription(), OwnMark)},
		{"cron", job.GetSchedule()},
		{"timeZone", job.GetTimeZone()},
		{"topic", target.GetTopicName()},
		{"payload", string(target.GetData())},
		{"attributes", attributes},
		{"retries", fmt.Sprintf("%d within %s, after %s to %s, %d doublings", retry.GetRetryCount(), retry.GetMaxRetryDuration().AsDuration(),
			retry.GetMinBackoffDuration().AsDuration(), retry.GetMaxBackoffDuration().AsDuration(), retry.GetMaxDoublings())},
	}
}
