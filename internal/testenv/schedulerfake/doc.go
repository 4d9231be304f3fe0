// Package schedulerfake is Cloud Scheduler's API over gRPC, for tests: the real client talks to it as to the service.
//
// Jobs have a Pub/Sub target. They do not run by the clock, only when RunJob asks. What it does as the service does, by the comments of
// the API's own protocol files:
//
//	CreateJob  ALREADY_EXISTS for a name that is taken, INVALID_ARGUMENT for what [check] refuses
//	UpdateJob  NOT_FOUND for a name that is not there; only the fields of the mask change; a paused job stays paused
//	ListJobs   in the order of names, in pages, INVALID_ARGUMENT for a token that it did not give
//	PauseJob   FAILED_PRECONDITION unless the job is enabled
//	ResumeJob  FAILED_PRECONDITION unless the job is paused
//	RunJob     publishes at once, whatever the state; the outcome is in status and last_attempt_time
//
// Jobs have no etag: the last write wins. Output-only fields of a request are ignored, and defaults are filled in.
// [Server.Fail] makes calls fail, before or after their effect.
package schedulerfake
