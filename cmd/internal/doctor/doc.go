// Package doctor looks at how an installation is set up, beyond what the drivers can say of themselves: the gateway and its clock,
// the job that builds sandboxes, and the schedules. Nothing here changes anything.
package doctor
