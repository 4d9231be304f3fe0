// Package sqlbus is the durable embedded bus: a driver for [events.Bus] on SQLite or Postgres. The tables come
// with migration 0001_bus; the program migrates before it calls [New].
//
// # Model
//
// A lane is what can be leased: one key of an ordered subscription, or one message of an unordered one. Lane rows
// are small and change, message rows are written once and deleted.
//
//	publish                 claim                       settle
//	   │    ┌────── free ──────────► leased ───────────────┬──► gone    all its messages are done
//	   └───►│  owner = 0           owner = a process       └──► free    more messages, or a retry at `due`
//	        │  due ≤ now              │
//	        └────────────────────────┘ the process died: attempts + 1
//
// The messages of a lane are handed out in order of seq. After a failed attempt the next run of the lane holds one
// message, so that a batch that fails as a whole finds the message that is to blame.
//
// # Commits
//
// One goroutine of a [Driver] writes. Each of its turns takes whatever waits (publications, settlements,
// claims for idle handlers) into one transaction: under load one flush to disk serves hundreds of messages,
// and a lone message is published and claimed in the same commit. Publish returns after the commit. Killing the
// process at any moment loses nothing that was accepted.
//
// # Order
//
// On SQLite writers take turns. On Postgres, publishers of an ordered topic hold an advisory lock for the key's
// stripe from before they draw sequence numbers until they commit: no smaller number can become visible after
// a larger one of the same key. A lane row is deleted only under that lock, so no message is left without one.
//
// # Leases
//
// An owner is a row with a beat that its process moves on at every claim and at least every third of
// Options.Lease. A process that sees a foreign beat stand still for a whole lease, by its own monotonic clock,
// frees what that owner held, each lane with one attempt more: clocks of different machines are never
// compared. On SQLite each process also holds a locked file in the folder `<database>-owners`, so that a
// restart after kill -9 finds at once that the lock is gone and need not wait. A settlement by an owner that
// lost its lease changes nothing.
//
// A killed process counts an attempt for every message it had taken, also the few that waited for a handler.
//
// # Fan-out
//
// Each subscription of a topic gets a copy of the message. The list of subscriptions is the one given to
// [New]: a message published to a topic with none goes nowhere.
package sqlbus
