// Package sqllimit keeps rate limits in SQLite or Postgres. The database needs migration 0005.
//
// # Transactions
//
// Calls that wait at the same time share a transaction, in which each is decided by itself, so one commit serves
// many. On SQLite there is one transaction at a time. On Postgres there are a few, for different keys; the
// keys of a transaction are locked by transaction-scoped advisory locks, in one order everywhere, which also work behind a pooler in transaction
// mode. A transaction is five statements: begin, lock (and read the clock), read, write, commit.
//
// # Durability
//
// Postgres answers before the commit is on disk (synchronous_commit off for these transactions only), so a crash
// of the server forgets the charges of the last fraction of a second; [Options.Durable] waits instead. SQLite commits durably.
//
// # Growth
//
// Rows say when they stop to matter, and [Backend.Sweep] deletes those. Without it tables grow by a row for each 32
// buckets in use.
package sqllimit
