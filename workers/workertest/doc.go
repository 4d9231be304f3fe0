// Package workertest holds the suite that every worker's handler passes: delivering its messages again, in another
// order, all at once, and with a crash after any of its effects leads to the same end.
package workertest
