// Package proctable reads the process table of this machine, on Linux and macOS.
package proctable

import "time"

// Process is one entry of the table, as it was when it was read.
type Process struct {
	PID, Parent, Group int
	// Started is the same whenever this program asks for it, but may differ by some milliseconds in another.
	Started time.Time
	// Zombie has ended and waits to be waited for by its parent.
	Zombie bool
}
