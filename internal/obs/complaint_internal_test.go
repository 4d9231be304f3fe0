package obs

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestComplaintsAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	c := &complaints{log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }}
	for range 3 {
		c.Handle(errors.New("the collector is away"))
	}
	now = now.Add(complaintsEvery - 1)
	c.Handle(errors.New("away still"))
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `level=WARN msg="telemetry is incomplete" error="the collector is away" more_since=0`) {
		t.Errorf("within a minute: %s", got)
	}
	log.Reset()
	now = now.Add(1)
	c.Handle(errors.New("away still"))
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `error="away still" more_since=3`) {
		t.Errorf("after a minute: %s", got)
	}
}
