// Package cloudflarelimit keeps rate limits in Durable Objects of the bridge Worker's class RateLimitObject, for which it calls
// the bridge. The objects count as VibeSDK's DORateLimitStore does, and decide on several keys in one transaction, correct charges and say
// when to try again, which that class cannot.
//
// # Objects
//
// All limits of one identifier live in one object: `platform:<limit>:<identifier>` without the first two words, any other key whole. A
// call over several identifiers is refused with ErrApart, unless [Options.Object] puts every key into one object.
//
// # Time
//
// The clock is that of the object. Its latest time is stored once for each bucket, so after a restart of the object it may
// go back by less than a bucket. Times given by the caller are accepted by bridges with TEST_CLOCK only.
//
// # Durability and growth
//
// An answer leaves when its charge is stored. An alarm of the object clears what no window reaches any more, within two of its longest horizons; [Backend.Sweep]
// has nothing to do. An object keeps the buckets that it has read in memory, 200,000 at most, so a check reads no row, however many buckets
// its windows have; only the first one after a restart of the object reads them all.
//
// # Failures
//
//	no answer, answer late, Worker or object restarted   ErrUnavailable, a charge is never sent again: it may have happened
//	check, reset, adjustment                             tried again within the deadline: twice is once
//	binding of VibeSDK's DORateLimitStore                ErrUnavailable that says so: that class cannot do what is asked here
package cloudflarelimit
