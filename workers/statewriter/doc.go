// Package statewriter is the consumer of state-mutations: it applies what agents and their hosts publish to the sessions.
//
// The bus hands over the mutations of one session in runs, in order, and one run is one [session.Store.Apply], so one
// write for up to 500 mutations. What is known about a mutation is inside the record that it changed, which makes every
// delivery but the first harmless.
//
//	cannot be decoded, payload gone or too large   parked on dead-letters; the others of the run are applied
//	applied, or was applied before                 acknowledged
//	version conflict, initialized already,
//	schedule to cancel is gone                     acknowledged: that is the answer, and the session's ring has it
//	rejected for another reason                    parked on dead-letters with the reason
//	… while its publisher waits for the outcome    acknowledged: the publisher has the reason
//	store or payloads out of reach                 tried again in place until the attempt ends, then delivered again
//
// A message of an ordered key that goes back holds up its key, so nothing is handed back that time can mend within an attempt.
//
// # Payloads by reference
//
// A payload too large to travel is an object somewhere, and the message has its address. It is read when its mutation is
// about to be applied. A run whose objects are larger together than [MaxHeld] is applied in several pieces.
//
// # Jobs
//
// After a mutation that may have made a job due, [Options.Wake] is called, so that a queue does not wait for the next sweep of the
// janitor. It is called for duplicates as well: the delivery before may have ended between the commit and the call. When it
// fails the mutation stays applied, and the sweep finds the job within a minute.
//
// # Replays
//
// A mutation that was rejected is remembered as such. When a person sends it again from dead-letters, see
// [events.DeadLetter.Replay], it is looked at once more; what was applied stays applied.
package statewriter
