// Package callbackrunner calls agent hosts when jobs of sessions are due: it is the consumer of agent-callbacks, and
// [Publisher] is how runs get there.
//
// A message names a session, a job and a run. The runner reads what the run consists of from the session, claims it by a
// mutation, calls the agent host over HTTP and finishes the run by another mutation:
//
//	load ──► claim ──────► call ──────────────► finish ──► publish what is due next
//	  │        │             │
//	  │        │             ├─ nobody there, 429, 503 ──► claim until later, the same run again
//	  │        └─ somebody else has it ──► again when the claim ends
//	  └─ no such job, another run, parked ──► nothing to do
//
// # The call
//
//	POST <host>/callbacks/<session>/<callback>
//	Idempotency-Key: the same for each delivery of one run
//	Agent-Timeout-Ms: how long the answer is waited for
//	{"sessionId": …, "callback": …, "payload": …, "job": {…}, "run": 3, "attempt": 1, "late": 0.012, "missed": 0}
//
// See [Call] for the fields. Session and callback are percent-encoded. Redirects are not followed. docs/agent-host.md has the other
// calls that an agent host gets, which come from the gateway.
//
// # What an answer means
//
//	2xx                                  the run went well
//	no connection, 425, 429, 503         the run was not begun: the same run, with the same key, is called again later, after
//	                                     Retry-After if there is one, and no attempt is counted
//	408, 409, other 3xx and 5xx,
//	no or half an answer, over the time  the attempt failed: retried as the job's own policy says, as another run
//	other 4xx                            failed for good
//
// A host that is away loses no job: they fire late, with how late and, for those that recur, how many occurrences passed. After
// [Options.Patience] a run that cannot be begun has failed for good.
//
// An item of the queue that failed for good is parked in its session, with the error: it does not block the next one, people
// see it with the session's queue, and it travels with an export. It is not published to dead-letters, because the message that
// brought it here says nothing of it.
//
// # Crashes
//
// The host is called at least once. A runner that dies leaves its claim, and the run is called again, with the same key, when
// the claim ends: a quarter after [Options.Timeout]. The message comes again by itself; were it lost, the janitor's sweep publishes
// the run anew. Messages are only a hint: the claim decides, so any number of them calls the host once.
package callbackrunner
