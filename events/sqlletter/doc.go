// Package sqlletter keeps dead letters in SQLite or Postgres: a driver for [events.LetterBox]. The table comes with migration
// 0013_dead_letter; the program migrates before it calls [New].
//
// A letter is one row. It is filed by inserting it or, when it is there, by locking it and storing what [events.Refile] says;
// everything else is a statement whose condition names the version of the row that was read.
package sqlletter
