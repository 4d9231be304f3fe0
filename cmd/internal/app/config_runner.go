package app

import (
	"strings"
	"time"
)

// RunnerConfig is about the routes that an unmodified VibeSDK calls with SANDBOX_SERVICE_TYPE=runner.
type RunnerConfig struct {
	// TemplatesURL is the folder with the archives <name>.zip of templates: file:///… or gs://bucket/folder.
	// RUNNER_TEMPLATES_URL. Defaults to none, and then instances are made from files only.
	TemplatesURL string
	// Wait is how long a caller waits for a new instance. RUNNER_WAIT. Defaults to 55s, because VibeSDK gives up at 60 s.
	Wait time.Duration
}

func (r *reader) runner() RunnerConfig {
	c := RunnerConfig{
		TemplatesURL: strings.TrimRight(r.text("RUNNER_TEMPLATES_URL", ""), "/"),
		Wait:         r.duration("RUNNER_WAIT", 55*time.Second, time.Second, 10*time.Minute),
	}
	r.blobAddress("RUNNER_TEMPLATES_URL", c.TemplatesURL, true)
	return c
}
