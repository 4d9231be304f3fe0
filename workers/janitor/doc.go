// Package janitor is the consumer of cleanup-ticks: each tick is one sweep.
//
// A sweep is level-triggered. It reads what is so now, and does not care which tick brought it, how many came before
// or whether two run at once. It never ends or changes a sandbox itself: it publishes requests to sandbox-requests,
// which the runner checks again when it handles them. All it does with its own hands is to remove resources that
// belong to nobody and sessions whose time is over.
//
//	STALE_SANDBOXES     records that are due to end, now or before the next tick → STOP, to be delivered at the due time
//	ORPHANED_SANDBOXES  resources without a living record → removed;
//	                    records without their resources, and unfinished ones that nobody works on → RESUME
//	STALE_SESSIONS      sessions past their time to live, and what is remembered of those that ended → removed
//	DUE_JOBS            sessions with runs that are due, now or before the next tick → published, for their time
//	ORPHANED_CHUNKS     what writers of sessions left behind when they died half way → removed
//	RATE_LIMIT_BUCKETS  counts that no window reaches any more → removed
//	DEAD_LETTERS        dead letters that wait too long or are too many → an error in the log, gauges;
//	                    those replayed long ago → removed
//
// Because a STOP is published ahead with its due time, sandboxes end on the second although ticks come by the minute.
//
// A sweep pages through what it finds and is bounded in time. One failing item does not keep it from the others: all
// errors are returned together at the end.
package janitor
