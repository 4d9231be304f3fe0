// Package faults makes drivers fail as the services behind them do, at random: calls that fail before they have an effect, calls that
// have their effect and are reported as failed, publications that arrive twice, acknowledgements that are lost.
//
// Programs have it only when they are built with `-tags faults`; cmd/internal/app/faults.go then puts it around the drivers of the bus
// and of the sessions, and the environment variable FAULTS says how often.
package faults
