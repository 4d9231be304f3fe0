// Package sqlsession keeps session records in SQLite or Postgres. The tables come with migration 0004_session; the
// program migrates before it calls [New].
//
// # Rows
//
// A record is a row of `sessions` (head and ring) and one of `session_parts` for each part, so that a commit writes the
// parts that changed and no others. Each commit gives the head a random tag, and each part that it writes one of its
// own: an equal tag means equal bytes, also after a record was removed and begun again. Compare-and-set compares the
// head's tag beside its commit when the record has one.
//
// # Commits
//
//	Postgres  one statement: the conditional UPDATE of the head, and the parts only if it hit. It is its own
//	          transaction and one round trip.
//	SQLite    one transaction for all commits that wait, of whatever sessions: the flush to disk is what costs.
//	          The conflict of one leaves the others alone.
//
// # Reading
//
// A record is read by one statement, which sees one state of the database. Parts, and the ring, that the caller knows
// already are not sent.
//
// # Watching
//
// Watchers of a process share one subscription, and those of a session share its loads. After a commit, and outside of
// it, the ids that changed are notified, many at once when commits are many: on Postgres a notification inside the
// transaction would make all commits of the server wait for each other. A notification that got lost with its
// process is found within two seconds by comparing the tags of all watched sessions in one query.
//
// # Errors
//
// A record at another commit is ErrConflict: nothing was written. Every other error of a commit leaves open
// whether it was written, and on Postgres also whether it still will be.
package sqlsession
