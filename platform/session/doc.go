// Package session keeps the durable state of agents: what a Durable Object keeps for its agent, with the same
// promise that one mutation happens at a time.
//
// # Nouns
//
// A [Record] is one session: a [Head] that is always small, the ring of the mutations applied last, and its [Part]s,
// each a JSON text of its own (the agent's state, its conversations, its jobs, its MCP servers, tables that came with
// it from elsewhere). A [Mutation] changes a record. Records that were handed out never change; changing one makes
// another that shares the parts left alone.
//
// # Who does what
//
// A [Store] applies mutations. It groups those that wait for one session, folds them in order in memory and commits
// the result by one conditional write: compare-and-set on [Head.Commit]. When another writer was first it reads
// again and folds again. A [Reader] reads, watches and waits for an outcome; it writes nothing, not even for a session that
// nobody has heard of. A [Driver] stores records, and knows nothing of what is inside.
//
//	mutations ──► group ──► drop those in the ring ──► fold ──► Driver.Commit ──► outcomes
//	                ▲                                              │ ErrConflict
//	                └──────────── Driver.Load ◄────────────────────┘
//
// # Two counters
//
// [Head.Version] counts the mutations that were applied, so it does not depend on how they were grouped: it is
// what callers see, and what [Mutation.Expected] is compared with. [Head.Commit] counts writes, and is
// what compare-and-set compares: a commit that only records a rejection changes it and leaves the version
// alone. Neither ever goes back, also not when the session is destroyed and begun again.
//
// # Failures
//
//	mutation seen before                  its outcome from the ring, Duplicate set; nothing is written
//	same id with other content            ErrIDReused; nothing is written
//	Expected is another version           ErrConflict          recorded in the ring
//	INITIALIZE a second time              ErrInitialized       recorded in the ring
//	source, path or job does not exist    ErrNotFound          recorded in the ring
//	payload cannot be applied             ErrInvalid           recorded in the ring
//	result over a limit                   ErrTooLarge          recorded in the ring
//	another writer was first              read, folded and committed again until the context ends
//	outcome of a commit unknown           read back; the ring tells
//	driver unreachable until the end      the driver's error; the mutations may or may not have been applied, and
//	                                      the same ids may be given again
//
// A rejected mutation changes nothing but the ring.
//
// # The ring
//
// A record remembers the last [RingSize] mutations, and in any case those of its last [RingCommits] commits. A
// duplicate that comes later than that is applied again: what publishes must not repeat an id after that many
// others.
package session
