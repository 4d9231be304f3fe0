package app

import (
	"cmp"
	"os"
	"regexp"
	"strings"
	"time"

	"vibesdk-gcp/cmd/internal/cloudscheduler"
)

// SchedulerConfig is where the jobs of Cloud Scheduler are, for `vibectl schedules`, `vibectl doctor` and the console of a gateway.
type SchedulerConfig struct {
	// Project is that of the jobs and of the topics. PUBSUB_PROJECT.
	Project string
	// Location is the region of the jobs. SCHEDULER_LOCATION. Without it the console does not show what became of them, nor pauses them.
	Location string
	// TopicPrefix stands before the names of topics. PUBSUB_PREFIX. Defaults to none.
	TopicPrefix string
	// Endpoint is the address of a stand-in, without TLS and credentials. SCHEDULER_EMULATOR_HOST. Defaults to the service itself.
	Endpoint string
	// Timeout bounds what the console waits for. SCHEDULER_TIMEOUT. Defaults to 5s.
	Timeout time.Duration
}

// DefaultJobPrefix stands before the names of jobs when PUBSUB_PREFIX says nothing.
const DefaultJobPrefix = "vibesdk-"

// JobPrefix stands before the names of the jobs, as infra/gcp has it: it is that of the topics.
func (c SchedulerConfig) JobPrefix() string { return cmp.Or(c.TopicPrefix, DefaultJobPrefix) }

// naming makes the names of jobs and topics.
func (c SchedulerConfig) naming() cloudscheduler.Naming {
	return cloudscheduler.Naming{Project: c.Project, Location: c.Location, Prefix: c.JobPrefix(), TopicPrefix: c.TopicPrefix}
}

// SchedulerConfigFromEnvironment reads the environment of this process.
func SchedulerConfigFromEnvironment() (SchedulerConfig, error) {
	return ReadSchedulerConfig(os.LookupEnv)
}

var location = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)

// ReadSchedulerConfig reads and checks the variables that lookup knows.
func ReadSchedulerConfig(lookup func(string) (string, bool)) (SchedulerConfig, error) {
	r := reader{lookup: lookup}
	c := r.scheduler()
	return c, r.err()
}

func (r *reader) scheduler() SchedulerConfig {
	c := SchedulerConfig{
		Project: r.text("PUBSUB_PROJECT", ""), Location: r.text("SCHEDULER_LOCATION", ""),
		TopicPrefix: r.text("PUBSUB_PREFIX", ""), Endpoint: r.text("SCHEDULER_EMULATOR_HOST", ""),
		Timeout: r.duration("SCHEDULER_TIMEOUT", 5*time.Second, 100*time.Millisecond, 30*time.Second),
	}
	if c.Location != "" && !location.MatchString(c.Location) {
		r.fault("SCHEDULER_LOCATION", "%q is not a region, like europe-west1", c.Location)
	}
	return c
}

// checkScheduler asks for what a program needs beside the region, and vibectl has flags for.
func (r *reader) checkScheduler(c SchedulerConfig) {
	if c.Location == "" {
		return
	}
	if c.Project == "" {
		r.fault("PUBSUB_PROJECT", "is required with SCHEDULER_LOCATION")
	}
	if !strings.HasSuffix(c.JobPrefix(), "-") {
		r.fault("PUBSUB_PREFIX", "must end with a dash with SCHEDULER_LOCATION: it tells our jobs from others")
	}
}
