// Package sqldb opens the SQL databases that drivers share: SQLite in one file, or Postgres.
//
// # Dialects
//
// Queries are written once, with $1 placeholders; [Dialect.SQL] turns them into what the database takes.
// What differs beyond placeholders is a method of [Dialect], so no query holds an `if postgres`.
//
// # SQLite
//
// SQLite has one writer at a time. A [DB] therefore holds one writing connection ([DB.W], transactions
// begin IMMEDIATE) and a pool of reading ones ([DB.R]). The file is in WAL mode with synchronous=FULL: a commit
// that returned survives SIGKILL and loss of power.
//
// # Time
//
// Instants are stored as INTEGER/BIGINT Unix microseconds on both databases: they compare and index
// alike, and the finest that both sides keep is the microsecond.
package sqldb
