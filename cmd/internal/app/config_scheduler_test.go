package app_test

import (
	"strings"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
)

func TestSchedulerConfig(t *testing.T) {
	t.Parallel()
	c, err := app.ReadSchedulerConfig(environment(map[string]string{
		"PUBSUB_PROJECT": "p", "SCHEDULER_LOCATION": "europe-west1", "PUBSUB_PREFIX": "x-", "SCHEDULER_EMULATOR_HOST": "127.0.0.1:9",
	}))
	if err != nil || c != (app.SchedulerConfig{Project: "p", Location: "europe-west1", TopicPrefix: "x-", Endpoint: "127.0.0.1:9"}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = app.ReadSchedulerConfig(environment(nil)); err != nil || c != (app.SchedulerConfig{}) {
		t.Errorf("defaults: %+v, %v", c, err)
	}
	if _, err = app.ReadSchedulerConfig(environment(map[string]string{"SCHEDULER_LOCATION": "Europe"})); err == nil || !strings.Contains(err.Error(), "SCHEDULER_LOCATION: ") {
		t.Errorf("bad location: %v", err)
	}
}
