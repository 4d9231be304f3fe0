package sandbox_test

import (
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

func TestDue(t *testing.T) {
	t.Parallel()
	after := epoch.Add
	for name, c := range map[string]struct {
		record sandbox.Record
		at     time.Time
		why    sandbox.DueReason
	}{
		"building expires":         {sandbox.Record{State: sandbox.Building, ExpiresAt: after(9)}, after(9), sandbox.DueExpired},
		"building is stuck":        {sandbox.Record{State: sandbox.Building, ExpiresAt: after(9), PhaseDeadline: after(3)}, after(3), sandbox.DueStuck},
		"building expires first":   {sandbox.Record{State: sandbox.Building, ExpiresAt: after(2), PhaseDeadline: after(3)}, after(2), sandbox.DueExpired},
		"building is never idle":   {sandbox.Record{State: sandbox.Building, ExpiresAt: after(9), Idle: 1, ActiveAt: epoch}, after(9), sandbox.DueExpired},
		"ready idles":              {sandbox.Record{State: sandbox.Ready, ExpiresAt: after(9), Idle: 2, ActiveAt: after(3)}, after(5), sandbox.DueIdle},
		"ready expires":            {sandbox.Record{State: sandbox.Ready, ExpiresAt: after(4), Idle: 2, ActiveAt: after(3)}, after(4), sandbox.DueExpired},
		"ready without idle limit": {sandbox.Record{State: sandbox.Ready, ExpiresAt: after(9), ActiveAt: after(3)}, after(9), sandbox.DueExpired},
		"ready is never stuck":     {sandbox.Record{State: sandbox.Ready, ExpiresAt: after(9), PhaseDeadline: after(1)}, after(9), sandbox.DueExpired},
		"stopping is stuck":        {sandbox.Record{State: sandbox.Stopping, ExpiresAt: after(9), PhaseDeadline: after(1)}, after(1), sandbox.DueStuck},
		"stopping and expired":     {sandbox.Record{State: sandbox.Stopping, ExpiresAt: after(1), PhaseDeadline: after(9)}, after(1), sandbox.DueStuck},
		"no limits":                {sandbox.Record{State: sandbox.Ready}, time.Time{}, sandbox.DueExpired},
		"deleted":                  {sandbox.Record{State: sandbox.Deleted, ExpiresAt: after(1)}, time.Time{}, ""},
		"failed":                   {sandbox.Record{State: sandbox.Failed, ExpiresAt: after(1), PhaseDeadline: after(1)}, time.Time{}, ""},
	} {
		at, why := c.record.DueAt()
		if !at.Equal(c.at) || why != c.why {
			t.Errorf("%s: DueAt = %v %s, want %v %s", name, at, why, c.at, c.why)
		}
		if c.at.IsZero() {
			if why, due := c.record.Due(epoch.AddDate(100, 0, 0)); due {
				t.Errorf("%s: due after all: %s", name, why)
			}
			continue
		}
		if _, due := c.record.Due(c.at.Add(-1)); due {
			t.Errorf("%s: due too early", name)
		}
		if why, due := c.record.Due(c.at); !due || why != c.why {
			t.Errorf("%s: Due = %s, %v at its time", name, why, due)
		}
	}
}
