package app

import (
	"testing"
	"time"
)

// TestLogsOnCloudRunAreLookedAtSeldom: the calls of many who follow a log must stay within the quota.
func TestLogsOnCloudRunAreLookedAtSeldom(t *testing.T) {
	t.Parallel()
	var c Config
	if got := c.logEvery(); got > 100*time.Millisecond {
		t.Errorf("a log on this machine is looked at every %s", got)
	}
	c.SandboxBackend = "cloudrun"
	if got := c.logEvery(); got < time.Second {
		t.Errorf("a log on Cloud Run is looked at every %s", got)
	}
}
