package app_test

import (
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
)

func TestRunnerConfig(t *testing.T) {
	t.Parallel()
	c, err := app.ReadConfig(environment(map[string]string{"RUNNER_TEMPLATES_URL": "gs://bucket/templates/", "RUNNER_WAIT": "20s"}))
	if err != nil || c.Runner != (app.RunnerConfig{TemplatesURL: "gs://bucket/templates", Wait: 20 * time.Second}) {
		t.Errorf("%+v, %v", c.Runner, err)
	}
	if c, err = app.ReadConfig(environment(nil)); err != nil || c.Runner.Wait != 55*time.Second || c.Runner.TemplatesURL != "" {
		t.Errorf("defaults: %+v, %v", c.Runner, err)
	}
	for _, address := range []string{"templates", "https://host/x", "file://host/x", "gs:///x", "gs://b/x?key=topsecret", "gs://topsecret@b/x"} {
		_, err := app.ReadConfig(environment(map[string]string{"RUNNER_TEMPLATES_URL": address}))
		if err == nil || !strings.Contains(err.Error(), "RUNNER_TEMPLATES_URL: ") || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
