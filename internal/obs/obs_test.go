package obs_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/obs"
)

func TestJSONLinesUseCloudLoggingNames(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := obs.NewLogger(&out, obs.LogOptions{}) // a buffer is no terminal
	log.Debug("hidden")
	log.Warn("careful", slog.Group("in", slog.String("msg", "kept")), "took", 90*time.Second)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one JSON line: %v: %s", err, out.String())
	}
	if line["severity"] != "WARNING" || line["message"] != "careful" || line["time"] == nil {
		t.Errorf("line = %v, want severity, message and time", line)
	}
	if line["took"] != "1m30s" {
		t.Errorf("a duration is %v, want words", line["took"])
	}
	if in, ok := line["in"].(map[string]any); !ok || in["msg"] != "kept" {
		t.Errorf("an attribute inside a group was renamed: %v", line["in"])
	}
}

func TestTextFormat(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	obs.NewLogger(&out, obs.LogOptions{Level: slog.LevelDebug, Format: obs.Text}).Debug("seen")
	if !strings.Contains(out.String(), "level=DEBUG msg=seen") {
		t.Errorf("text line = %q", out.String())
	}
}

func TestIsTerminalIsFalseForFiles(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if obs.IsTerminal(f) || obs.IsTerminal(null) {
		t.Error("a file or the null device counts as a terminal")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	if level, err := obs.ParseLevel("Warn"); err != nil || level != slog.LevelWarn {
		t.Errorf("ParseLevel(Warn) = %v, %v", level, err)
	}
	if _, err := obs.ParseLevel("loud"); err == nil || !strings.Contains(err.Error(), "loud") {
		t.Errorf("ParseLevel(loud) = %v, want an error that quotes it", err)
	}
	if _, err := obs.ParseFormat("xml"); err == nil {
		t.Error("ParseFormat(xml) is accepted")
	}
}

func TestMetricsAreServedInPrometheusForm(t *testing.T) {
	t.Parallel()
	telemetry, err := obs.NewTelemetry(t.Context(), obs.TelemetryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	counter, err := telemetry.Meter.Meter("test").Int64Counter("things.done")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3)
	w := httptest.NewRecorder()
	telemetry.Metrics.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{"things_done_total 3", "go_goroutines"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	if err := telemetry.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
}
