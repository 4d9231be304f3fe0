package app

import (
	"os"
	"regexp"
)

// SchedulerConfig is what `vibectl schedules` needs to find the jobs of Cloud Scheduler.
type SchedulerConfig struct {
	// Project is that of the jobs and of the topics. PUBSUB_PROJECT.
	Project string
	// Location is the region of the jobs. SCHEDULER_LOCATION.
	Location string
	// TopicPrefix stands before the names of topics. PUBSUB_PREFIX. Defaults to none.
	TopicPrefix string
	// Endpoint is the address of a stand-in, without TLS and credentials. SCHEDULER_EMULATOR_HOST. Defaults to the service itself.
	Endpoint string
}

// SchedulerConfigFromEnvironment reads the environment of this process.
func SchedulerConfigFromEnvironment() (SchedulerConfig, error) {
	return ReadSchedulerConfig(os.LookupEnv)
}

var location = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)

// ReadSchedulerConfig reads and checks the variables that lookup knows.
func ReadSchedulerConfig(lookup func(string) (string, bool)) (SchedulerConfig, error) {
	r := reader{lookup: lookup}
	c := SchedulerConfig{
		Project: r.text("PUBSUB_PROJECT", ""), Location: r.text("SCHEDULER_LOCATION", ""),
		TopicPrefix: r.text("PUBSUB_PREFIX", ""), Endpoint: r.text("SCHEDULER_EMULATOR_HOST", ""),
	}
	if c.Location != "" && !location.MatchString(c.Location) {
		r.fault("SCHEDULER_LOCATION", "%q is not a region, like europe-west1", c.Location)
	}
	return c, r.err()
}
