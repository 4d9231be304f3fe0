package gcp_test

import (
	"strings"
	"testing"

	"vibesdk-gcp/internal/testenv"
)

// TestSettingsModule runs the module's own tests with terraform itself: the module has no provider.
func TestSettingsModule(t *testing.T) {
	out := string(testenv.NewTerraform(t, "modules/settings").Run(t, "test", "-no-color"))
	if !strings.Contains(out, "Success!") || !strings.Contains(out, "0 failed") || strings.Contains(out, "Success! 0 passed") {
		t.Errorf("%s", out)
	}
}
