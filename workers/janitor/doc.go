// Package janitor is the consumer of cleanup-ticks: each tick is one sweep.
//
// A sweep is level-triggered. It reads what is so now, and does not care which tick brought it or how many came before. Two at once are
// harmless and a waste: a tick that finds its sweep running, here or under the lock of another process, comes again in ten seconds,
// and one that was sent before the last good sweep began is done. So a hundred late ticks are one sweep. A sweep never ends or changes a sandbox itself: it publishes requests to sandbox-requests,
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
//	EXPIRED_FILES       uploads and payloads that nothing uses any more → removed
//
// Because a STOP is published ahead with its due time, sandboxes end on the second although ticks come by the minute.
//
// What is removed by its age is at least as old as its kind must be (schemas.MinChunkAge, schemas.MinFileAge), whatever the tick says.
//
// A sweep pages through what it finds and is bounded in time. One failing item does not keep it from the others: all
// errors are returned together at the end.
package janitor
