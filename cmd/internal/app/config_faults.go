//go:build faults

package app

import (
	"fmt"
	"os"

	"vibesdk-gcp/cmd/internal/faults"
	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
)

// faultyBus and faultySessions put faults around drivers, in programs that are built for that, as often as FAULTS says: ratio:seed.
// Defaults to none.

func faultyBus(next events.Driver) (events.Driver, error) {
	dice, err := readDice()
	if dice == nil || err != nil {
		return next, err
	}
	return faults.Bus(next, dice), nil
}

func faultySessions(next session.Driver) (session.Driver, error) {
	dice, err := readDice()
	if dice == nil || err != nil {
		return next, err
	}
	return faults.Sessions(next, dice), nil
}

func readDice() (*faults.Dice, error) {
	text := os.Getenv("FAULTS")
	if text == "" {
		return nil, nil
	}
	dice, err := faults.ParseDice(text)
	if err != nil {
		return nil, fmt.Errorf("FAULTS: %w", err)
	}
	return dice, nil
}
