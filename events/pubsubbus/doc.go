// Package pubsubbus is the driver for [events.Bus] on Google Cloud Pub/Sub, with the client of
// cloud.google.com/go/pubsub/v2, by streaming pull or by push.
//
// # Publishing
//
// [Driver.Publish] returns nil when the service has acknowledged every message. The client tries again by itself for up to a
// minute, so a message may be published twice, under one event id and two of the broker's.
//
//   - While a call has messages of an ordering key under way, other calls for that key wait. So an error never lets a
//     later message overtake an earlier one that the caller will publish again. A context that ends does not free
//     the key before the service has answered.
//   - The client refuses a key after an error until it is resumed. The driver resumes it when the last message of
//     the call is decided.
//   - Refusals of the service that no retry mends (InvalidArgument: a payload that breaks the topic's schema) and messages
//     that are too large wrap [events.ErrInvalid]; every other error may be tried again.
//
// # Receiving
//
// The client's callback only queues a message, within our own bounds on messages and bytes, and returns; the message is
// acknowledged when its verdict is known. The client extends the leases in between.
//
//	callback ── credits ──► lane of its key ──► ready ──► running ──┬─► Done: acknowledged
//	                             ▲     │  waits for its time        ├─► wait ≤ HoldLimit: stays in its lane
//	                             └─────┘◄───────────────────────────┴─► longer, unordered: copy published, acknowledged
//
// On an ordered topic one run of a key is handled at a time and a failed message stays at the head of its key, so a retry
// holds back that key and no other, and nothing is ever given back to the broker in normal operation: a negative
// acknowledgement would make it send later messages of the key again, and can wedge the key. Delayed keys hold credits. When
// they hold all of Subscription.MaxOutstanding, other keys wait as well: give ordered subscriptions a large one.
//
// A message that arrives again while it is held, because its lease was lost on the way, shares the outcome of the first
// delivery. Another process may then handle it at the same time: handlers are idempotent and guard state by version.
//
// # Delays
//
// A retry within Options.HoldLimit waits in memory. If the process dies it comes early. On an unordered topic a longer
// one is published again at once, as a copy with the attributes
//
//	vibesdk-bus-consumer     the only subscription that handles it; others acknowledge it unseen
//	vibesdk-bus-attempts     failed attempts so far
//	vibesdk-bus-not-before   when the wait ends, RFC 3339
//
// and the original is acknowledged, so that delay and attempts survive the process. Consumers therefore need permission to
// publish to the topics that they consume. A crash between the two leaves both; the event id is the same. If the
// copy cannot be published the message waits in memory. Copies, and messages published with
// Message.NotBefore, are held by whoever receives them; beyond HoldLimit they are published again when more than half
// of what a consumer may hold is waiting, to let others in. Times are compared with the consumer's clock.
//
// # Attempts
//
// Message.Attempt is one more than the failed attempts in memory and in a copy's attribute. On an ordered topic it starts again
// with the process. A consumer that dies is seen by the broker's delivery count only, which also rises for messages
// that merely waited in it: four deliveries count as one attempt. It needs a dead-letter policy on the subscription.
//
// # Draining
//
// When the context of Receive ends, no more runs start and those that run finish. Then, on unordered topics, messages with
// attempts or a delay that only this process knows are replaced by copies. What is left is given back with a negative
// acknowledgement, last of all: the broker would give it to the stream that is about to close. It cannot be
// left to the end of its lease, because the client waits for it, and the one setting that stops it from waiting
// loses acknowledgements. After five seconds without an answer Receive returns an error: those messages come again.
//
// When the stream fails for good (permission, deleted subscription, quota) Receive waits for the running handlers and
// returns the error; what they acknowledge after that is lost, and comes again. The bus then calls Receive again with backoff.
//
// # Pushing
//
// Subscriptions in Options.Push are not pulled: Pub/Sub posts each message to [Driver.PushHandler], and takes 204 for an acknowledgement and
// every other answer for a negative one. From there a message goes the same way: the request stays open while the message is held, also
// while it waits for its next attempt, and is answered when its verdict is known. What differs:
//
//   - What may be held is bounded by answers: 429 when there are no more credits, and Pub/Sub pushes less for a while.
//   - A request must have its answer before the ack deadline (Options.PushDeadline). Early enough for one more attempt to end, a message
//     that still waits goes back: on an unordered topic as a copy that carries delay and attempts, and then the answer is 204; on an ordered one by
//     503, with the messages of its key behind it, and its attempts begin again but for one in four deliveries.
//   - A request that breaks takes its message along, unless an attempt runs: one that comes again meanwhile shares its outcome.
//   - While a message of a key is being pushed, Pub/Sub pushes no other of that key. So runs have one message, and a busy key is
//     slower than with a stream: pull ordered subscriptions that have much to do.
//   - Only wrapped pushes are taken. An unwrapped one has no place for what the envelope of the bus needs.
//
// # Settings and why
//
//	publisher    EnableMessageOrdering     topic.Ordered     messages with a key are refused otherwise
//	             DelayThreshold            1 ms              latency of a lone message; batches fill under load all the same
//	             FlowControlSettings       1000, 64 MiB,     the default is no bound at all
//	                                       block
//	             HedgingSettings           nil               does not go with ordering, and makes duplicates
//	receive      ShutdownOptions           nil               a timeout there drops acknowledgements made while draining
//	             MaxExtension              31 days           the driver settles every message; nothing is left to time out
//	             MaxDurationPerAckExtension Options.Lease    a dead consumer's messages come back within it, not in 10 minutes
//	             NumGoroutines             1                 one stream carries about 10 MB/s; more streams, more processes
//	             MaxOutstandingMessages    Subscription's    the service stops sending
//	             MaxOutstandingBytes       64 MiB            the default of 1 GB ends small containers
//	subscription expirationPolicy          never             the default deletes it after 31 idle days
//	             messageRetentionDuration  7 days            the longest without topic retention
//	             enableMessageOrdering     topic.Ordered     cannot be changed later
//	             enableExactlyOnceDelivery off               costs latency, and consumers are idempotent all the same
//	             deadLetterPolicy          100 deliveries    what kills every consumer ends some time; counts deliveries
//	             retryPolicy               none              retries are ours; what a drain gives back is wanted at once
//	  pushed     ackDeadlineSeconds        600               how long a request may take; a consumer that dies is noticed at once
//	             retryPolicy               0.1 s to 60 s     what is refused is wanted soon, but not at once
//
// The broker forwards to dead letters only if its service agent may publish there and acknowledge here; without that it
// fails in silence. Terraform grants it.
package pubsubbus
