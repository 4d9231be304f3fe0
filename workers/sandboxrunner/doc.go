// Package sandboxrunner is the consumer of sandbox-requests: it runs, resumes and stops sandboxes.
//
// # Shape
//
// Each message is decoded, and its sandbox driven: look at the record and at the runtime, [decide] the next step,
// take it, look again. The decision is one pure function; nothing else knows the order of things.
//
// # Why any crash converges
//
// The intent is stored first (the record with its fence), then comes the effect, whose name in the outside world
// is derived from id and fence, then the record says that it happened. A process that dies anywhere leaves a
// record from which the same decision is made again, and effects find what they made before. Every change of a
// record applies only to the version that the decision was made from, so of two handlers one wins and the
// other looks again. A handler that had an effect on a generation that meanwhile ended removes that effect.
//
// The end has two beginnings. A sandbox that shall be deleted is first marked Stopping. One that shall fail keeps its
// state and gets its Reason and LogTail, because removing its resources destroys the evidence: a live record with a
// Reason is on its way to Failed. In both, the route goes first, then the resources, then the record is closed.
//
// # Waiting
//
// A handler never waits for a build or a start: it looks for about a second, in which most small apps are
// ready, and then asks for the message again after a delay that grows with the time waited. That is not counted
// as a failed attempt, so the state's own deadline ends it.
//
// A ready sandbox whose end is near, because its time to live or idle time is short, keeps its message until
// then. All others are found in time by the janitor.
package sandboxrunner
