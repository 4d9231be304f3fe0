//go:build !linux

package router

// Idle reports that the lane has no request under way.
func (*Lane) Idle() bool { return true }
