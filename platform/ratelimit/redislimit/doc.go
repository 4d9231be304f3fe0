// Package redislimit keeps rate limits in Redis 7 or Valkey, one server, a primary with replicas or a cluster: one script call for each check.
//
// # What is stored
//
// A key is one hash. Field "h" is the head of the port and, while the key has one bucket size, the leaf cell that was charged last:
// for most calls the one field to be read and written, and most charges patch it where it changes (quick.lua). Fields "<bucket size>:<level>:<index>" are the other cells, in the port's
// stored form. The hash expires by itself a horizon and a sixteenth after its head last noted a use, which it does when a sixteenth has
// passed. The ids of its adjustments are a sorted set, which lasts a horizon longer than the last of them. [Backend.Sweep]
// has nothing to do. Memory is as the port says; cells beyond the horizon go when a new cell of the middle
// level begins, so up to 1,024 buckets more are kept.
//
// # Round trips
//
// Calls that wait at the same time share a pipeline, and up to 64 of them a run of the script, which decides on one after the other as
// if each had come alone, reads the clock once and stores each key once: calls on a hot key cost little more than their answers. A
// group is what came while another was under way; nothing ever waits for a group to fill. Each call has its own
// deadline, and one whose deadline passes before it was written is not sent.
//
// # Cluster
//
// The hash tag of a key is made from its identifier: `platform:<limit>:<identifier>` without the first two words, and any
// other key whole. All limits of one identifier are on one shard and can be charged in one call. A call over several
// identifiers is refused with ErrApart, unless [Options.OneShard] puts every key on the same shard.
//
// # Failures
//
//	script unknown (restart, SCRIPT FLUSH, failover)  sent again with its source: it did not run
//	MOVED, ASK                                        followed: it did not run
//	connection broken, reply late                     ErrUnavailable, never sent again: it may have charged
//	READONLY, LOADING, CLUSTERDOWN, OOM               ErrUnavailable: it did not charge
//	Redis killed                                      what was not yet on its disk is forgotten: with append-only and everysec,
//	                                                  at most the charges of the last two seconds are admitted a second time
//	failover to a replica                             what was not yet replicated is forgotten, likewise
//	memory full                                       use noeviction: volatile-lru evicts limits first, which resets them
package redislimit
