// Package firestoresession keeps agent sessions in Cloud Firestore, in native mode.
//
// # Documents
//
//	agentSessions/{id}           one session: head, ring, and its parts as long as they fit
//	  commit, version            integers
//	  initialized, present       booleans
//	  createdAt, updatedAt       timestamps; createdAt and the three below are absent when there is none
//	  expireAt, alarmAt          timestamps
//	  purgeAt                    timestamp for a TTL policy: a week after expireAt; absent when there are chunks
//	  byID                       id as bytes, when present
//	  byExpiry, byAlarm          8 bytes of microseconds and the id, in the order of lists
//	  ring                       {data, size, stored, zstd, sum}
//	  parts                      {name: {tag, size, stored, zstd, sum, chunks}}
//	  data                       {name: bytes}, of parts that are not in chunks
//	agentSessionChunks/{id}:{tag}:{part}:{n}
//	  data                       at most 900,000 bytes of a part
//	agentSessionUploads/{id}:{tag}
//	  createdAt, chunks, batch   what a commit sends ahead, until it is done
//
// Document ids are the ids of sessions where Firestore takes them, with %XX for bytes that it does not. Texts from 2 KiB
// on are compressed with zstd when that makes them smaller. The sum is the CRC-32C of what is stored, and is
// checked whenever a part is read.
//
// # Commits
//
// A commit is one Commit call with a precondition: that the document does not exist for the first, that its
// update time is still the one seen for all others. Firestore cannot compare a field, so Record.Tag carries the update time from the
// load, or from the commit before, whose answer tells it: commits in a row need no read. A write that changes nothing
// would keep the update time, but every commit changes the field commit. The call sends only fields that changed. Transactions are
// not used: they take three calls, and lock what they read.
//
// The document holds up to 800,000 bytes of ring and parts. When there are more, the largest parts go to chunks, those that
// changed first. Chunks have names that are never used twice and are never changed. They are written, and those that they
// replace deleted, in the same call as the document, so that no crash leaves any behind.
//
// What is more than 2.7 MB does not fit into one call (the service takes 10 MiB, the emulator 4 MiB) and is sent ahead, with a
// marker that lists it. Each of the calls demands that the marker still exists, and the commit deletes it. [Driver.Clean]
// deletes markers that are old together with their chunks, in one call: either it finds the marker or the commit does.
//
// A reader that needs chunks reads them as they were when it read the document, which Firestore can tell for an hour: a
// commit in between does not disturb it.
//
// # Errors
//
// Calls are sent once. The generated client would send a commit again after Unavailable, and its second try would be
// refused because of the first. So AlreadyExists, FailedPrecondition and NotFound mean [session.ErrConflict] for certain; every
// other error leaves open what happened and goes to the caller, who looks at the ring. Repeating is up to [session.Store].
// Sizes are checked before anything is sent: the service answers a call that is too large with the code of an overload.
//
// # Watches
//
// A watch is a Listen stream with one target. It is opened again when it breaks or is silent for two minutes, and then begins with
// the document as it is. The front end of the service carries at most 100 calls on a connection and lets others wait without a
// word, so watches have connections of their own, for 80 each.
//
// # Indexes
//
// No composite index is needed. Of the indexes that every field has by itself those of agentSessions.byID, byExpiry and byAlarm and
// of agentSessionUploads.createdAt are used. All other fields must be exempt from indexing: each indexed one costs
// write latency and money, and indexed times that only rise make a hot spot:
//
//	agentSessions        commit version initialized present createdAt updatedAt expireAt alarmAt purgeAt ring parts data
//	agentSessionChunks   data
//	agentSessionUploads  chunks batch
//
// byExpiry rises with every commit of a session that has a time to live. Firestore bears about 500 such writes a second in one
// collection; give sessions no time to live where there are more.
//
// A TTL policy is optional. It belongs on agentSessions.purgeAt and on nothing else: the sweep that removes expired sessions
// comes first and takes their chunks along, a policy would leave chunks behind.
//
// # Limits
//
// A session's document bears about one sustained write a second, and more in bursts; the group commit of
// [session.Store] makes that many mutations. A record of 32 MiB that does not compress takes 13 calls to write.
package firestoresession
