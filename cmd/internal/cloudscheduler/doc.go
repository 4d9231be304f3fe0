// Package cloudscheduler makes, compares, pauses and runs the jobs of Cloud Scheduler that belong to a schedule file, for vibectl and for the
// console.
//
// A job is ours when its name has the prefix of the installation and its description ends with [OwnMark]; no other is ever changed. Jobs have
// no etag, so each change looks first, and is harmless twice: a lost answer is answered by doing it again.
package cloudscheduler
