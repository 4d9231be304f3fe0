// Package ratelimit counts what callers use and says no in time: a bucketed sliding window, exact to the bucket, with
// a burst window, a daily limit and fractional costs.
//
// # Nouns
//
// A [Config] is one limit in the words of its users, a [Rule] the same in whole milliseconds. An [Item] charges a key under
// a rule. A [Backend] decides and counts atomically; it knows neither names of limits nor what to do in an outage. A
// [Limiter] is what the rest of the program holds: limits by name, one deadline, one policy for outages.
//
// # Meaning
//
// A key has buckets, named by the time they start at. A charge adds to the bucket that now falls into,
// floor(now/size)·size. The count of a window W is the sum of the buckets from floor((now-W)/size)·size up to now,
// both included and on the grid of the size asked with: the oldest bucket counts whole, so a window reaches
// between W and W+size back. With CalendarDaily the main window begins at 00:00 UTC instead.
//
//	main count  ≥ Limit                  rejected, "main"
//	burst count ≥ Burst, Burst not 0     rejected, "burst"
//	daily count ≥ DailyLimit, not 0      rejected, "daily"
//	otherwise                            charged; remaining = min(Limit-main, DailyLimit-daily) - n, at least 0
//
// The count is compared before n is added: a charge may overshoot, and the next one is rejected. What is
// rejected is not counted. A DailyLimit of 0 rejects nothing but makes remaining 0 once something is charged. Sums are those of
// IEEE doubles added in ascending order of time, so a decision is the same on every backend to the last bit;
// counts that are reported may differ in the last digits (relative 1e-9).
//
// Buckets are shared by all rules of a key: a bucket written with another size is seen when its start is on the
// grid of the size asked with.
//
// # Cost
//
// The buckets of one size are the leaves of a tree of sums, 32 children to a [Cell], three levels. A check reads at most
// two cells of each lower level and the few of the top that its windows span, however full they are; a charge writes one cell of each level.
// Only three things walk the buckets of a window: a fractional count within 1e-9 of its limit, whose decision hangs
// on the order of addition; a key that had negative charges, when it is asked how long to wait; and a call under a bucket size that
// the key does not have yet.
//
// A bucket that was charged takes 9 bytes, and each cell some 100 more: at most 120 KB for a key with 8,640
// filled buckets (a day of 10 s), at most 300 bytes for one with a single charge, and 1.5 MB for the most buckets that a rule may have. What
// lies farther back than the longest window that the key was charged with, its horizon, is forgotten; each backend
// documents when. Forgetting changes no answer about windows within the horizon. Rules of different bucket sizes on one key, at
// most 8, each have their own buckets and share the longest horizon.
//
// # Clock
//
// Every operation takes the time. Zero means the backend's own clock, which all processes share: TIME on Redis,
// clock_timestamp() on Postgres, and the machine's on SQLite. Such a clock never goes back for a key: when it does, as after
// a failover, the latest time seen counts. A time given by the caller is used as it is, and charges at later times are then not counted.
//
// # Outages
//
//	backend fails or the deadline passes, Open     decided by a guard in this process, Result.Degraded set
//	the same, Closed                               ErrUnavailable, nothing is known to be charged
//	deadline passes after the backend charged      the charge stays: counted once too much, never too little
//
// The guard has the same rules, its own counts and room for 10,000 keys, of which it forgets the one charged longest ago first. So
// an outage of a backend admits at most one more limit for each process and each key that there is room for. Guard counts are
// not carried back.
package ratelimit
