// Package chaos judges a run of the whole platform under faults: what its clients were told against what is there in the end.
//
// A run (the tests of this package; `make chaos`) starts every role as a process of its own, lets clients work, and meanwhile kills and
// freezes roles and back ends, delays and cuts what they say to each other, sends a tenth of everything twice and loses a tenth of the
// answers. Then the faults end. When nothing moves any more, [Check] compares:
//
//	accepted mutation    in the state of its session exactly once, or among the dead letters. Never twice, never unasked
//	rejected, unknown    rejected: never there. Unknown: there once or not at all
//	order                what was accepted before another one of its session was sent stands before it
//	versions             one for each mutation, as each client was told
//	reads                never older than what a client was told before
//	poison               a dead letter, each of it
//	charges              no more admitted than the limit, plus what a killed Redis may forget, plus one limit for each
//	                     gateway process while Redis is away; none rejected before the limit is used up
//	jobs                 called at least once with success, not before they are due, under one idempotency key for each run; those
//	                     of a queue in order
//	sandboxes            one for each request, ended, with a reason if it failed
//	messages             none waits
//	nothing is left      of what ended: no process, folder, route, object, service, execution; no row that belongs to nothing
//
// The choices of a run come from its seed, so CHAOS_SEED repeats them; when each of them strikes is up to the machine.
package chaos
