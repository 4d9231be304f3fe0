package app_test

import (
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
)

func TestSchedulerConfig(t *testing.T) {
	t.Parallel()
	c, err := app.ReadSchedulerConfig(environment(map[string]string{
		"PUBSUB_PROJECT": "p", "SCHEDULER_LOCATION": "europe-west1", "PUBSUB_PREFIX": "x-", "SCHEDULER_EMULATOR_HOST": "127.0.0.1:9",
	}))
	if err != nil || c != (app.SchedulerConfig{Project: "p", Location: "europe-west1", TopicPrefix: "x-", Endpoint: "127.0.0.1:9", Timeout: 5 * time.Second}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = app.ReadSchedulerConfig(environment(nil)); err != nil || c != (app.SchedulerConfig{Timeout: 5 * time.Second}) {
		t.Errorf("defaults: %+v, %v", c, err)
	}
	if _, err = app.ReadSchedulerConfig(environment(map[string]string{"SCHEDULER_LOCATION": "Europe"})); err == nil || !strings.Contains(err.Error(), "SCHEDULER_LOCATION: ") {
		t.Errorf("bad location: %v", err)
	}
}

// TestSchedulerOfAProgram is about what a gateway needs to find the jobs, where vibectl has flags.
func TestSchedulerOfAProgram(t *testing.T) {
	t.Parallel()
	c, err := app.ReadConfig(environment(map[string]string{"PUBSUB_PROJECT": "p", "SCHEDULER_LOCATION": "europe-west1"}))
	if err != nil || c.Scheduler.Location != "europe-west1" || c.Scheduler.JobPrefix() != "vibesdk-" {
		t.Errorf("%+v, %v", c.Scheduler, err)
	}
	_, err = app.ReadConfig(environment(map[string]string{"PUBSUB_PREFIX": "prod", "SCHEDULER_LOCATION": "europe-west1"}))
	for _, want := range []string{"\n  PUBSUB_PROJECT: is required with SCHEDULER_LOCATION", "\n  PUBSUB_PREFIX: must end with a dash"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
