package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"vibesdk-gcp/internal/obs"
)

// TestTheOverviewDrawsWhatTheProcessCounts makes the page of figures that were sampled twice.
func TestTheOverviewDrawsWhatTheProcessCounts(t *testing.T) {
	t.Parallel()
	telemetry, err := obs.NewTelemetry(t.Context(), obs.TelemetryOptions{Service: "test", Instance: "1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = telemetry.Close(context.Background()) }()
	settled, err := telemetry.Meter.Meter("x").Int64Counter("events.settled", metric.WithUnit("{message}"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	history := telemetry.NewHistory(obs.HistoryOptions{Figures: Figures(), Now: func() time.Time { return now }})
	preview := func(id, token string) string { return "http://" + id + token + ".preview.test/" }
	c, err := New(Options{API: http.NotFoundHandler(), PreviewURL: preview, History: history, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	page := func() string {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/console/", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	if body := page(); strings.Contains(body, "<polyline") || !strings.Contains(body, "A line begins with the second sample") ||
		!strings.Contains(body, "The broker keeps these figures") {
		t.Errorf("before the first sample:\n%s", body)
	}
	history.Sample()
	now = now.Add(10 * time.Second)
	settled.Add(t.Context(), 40, metric.WithAttributes(attribute.String("outcome", "handled"), attribute.String("subscription", "a")))
	history.Sample()
	now = now.Add(10 * time.Second)
	settled.Add(t.Context(), 20, metric.WithAttributes(attribute.String("outcome", "handled"), attribute.String("subscription", "b")))
	history.Sample()
	for _, want := range []string{
		`<polyline class="line tone-1" points="297.0,`, "handled</th><td class=\"n\">2</td><td class=\"n\">4</td>", "In messages a second", "10:00:20",
		"at most 1 h",
	} {
		if body := page(); !strings.Contains(body, want) {
			t.Errorf("the page lacks %q:\n%s", want, body)
		}
	}
}
