//go:build !faults

package app

import (
	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
)

// Only programs built with `-tags faults` have any: see config_faults.go.

func faultyBus(next events.Driver) (events.Driver, error) { return next, nil }

func faultySessions(next session.Driver) (session.Driver, error) { return next, nil }
