// Package schedule reads a file of jobs that run by the clock and fires them.
//
// The file is the one that the cloud's scheduler is set up from, so a laptop and the cloud do the same things
// at the same times. The package knows when a job is due, not what it means: the caller of [Run] is told the
// topic and the payload, and publishes.
package schedule
