// Package app is the composition root: it reads the configuration, picks a driver for each port, and runs the
// roles that were asked for. Nothing outside cmd can import it.
//
// A start goes config → provider → ports → roles. A stop goes the other way: doors closed, intake ended, handlers
// drained to a deadline, sandboxes ended, drivers closed.
package app
