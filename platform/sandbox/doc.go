// Package sandbox is the port for sandboxes: short-lived copies of an app that are built from source and
// served as a preview.
//
// It has two halves. A [RecordDriver] keeps the versioned truth about each sandbox; [Records] holds one. A
// [RuntimeDriver] builds and serves; [Runtime] holds one. The two never call each other: a worker reads the
// record, asks the runtime, and records what it saw.
//
// # States
//
//	requested ──▶ building ──▶ starting ──▶ ready
//	    │            │            │           │
//	    └────────────┴─────┬──────┴───────────┘
//	                       ▼
//	                   stopping ──▶ deleted          any of the first five ──▶ failed
//
// A record moves along the arrows and never back. Deleted and failed records do not change any more. When a
// preview is lost through no fault of the app, the record starts a new generation: Fence grows by one, the
// state is requested again and both tokens are new. So (Fence, State) only grows, in lexicographic order,
// and whoever holds an older pair knows that it lost. [CanMove] is this picture as a function; [Records]
// asks it before each save.
//
// # Generations
//
// Everything outside the record carries the pair of id and fence, a [Ref]: folders, processes, services,
// snapshots, the preview's host name. An effect is triggered after the intent (the record with the fence) is
// stored and has a name derived from the Ref, so triggering it twice finds the first one. What carries a
// fence smaller than the record's is an orphan and may be deleted by anyone.
//
// # Life time
//
// A sandbox ends when ExpiresAt passes, when a ready preview had no traffic for Idle, or when a state lasts
// beyond PhaseDeadline. [Record.DueAt] says when and why; [Query.DueBefore] finds the records by the same
// rule.
//
// # Failures
//
//	what happens                         what the runtime reports        what becomes of the record
//	a command of the project fails       Broken, Reason and LogTail      failed, with both
//	the development server keeps ending  Broken, Reason and LogTail      failed, with both
//	a build passes its deadline          Broken, "timed out …"           failed
//	the guest program is killed          Broken, "ended unexpectedly"    failed
//	the supervisor of the guest dies     Broken and Interrupted          a new generation, a few times
//	the runtime is not there             ErrUnavailable                  unchanged; asked again later
//	the runtime's quota is used up       ErrUnavailable and ErrQuota     Waiting; asked again later, failed at its deadline
//	a generation was deleted meanwhile   ErrGone                         unchanged; read it again
//	two writers change one record        —                               one wins, the other re-reads
package sandbox
