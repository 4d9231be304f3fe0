package app

import (
	"testing"
	"time"
)

// TestSandboxesOnCloudRunAreLookedAtSeldom: the calls of many who follow one must stay within the quota.
func TestSandboxesOnCloudRunAreLookedAtSeldom(t *testing.T) {
	t.Parallel()
	var c Config
	if got := c.pollEvery(); got > 100*time.Millisecond {
		t.Errorf("a sandbox on this machine is looked at every %s", got)
	}
	c.SandboxBackend = "cloudrun"
	if got := c.pollEvery(); got < time.Second {
		t.Errorf("a sandbox on Cloud Run is looked at every %s", got)
	}
}
