// Package cloudflaresession keeps session records in Durable Objects, through the bridge Worker (infra/cloudflare/bridge).
//
// # Objects
//
// Each session is one SessionObject with SQLite storage: a row with the head, one for each part, and their bytes in chunks that fit
// Cloudflare's rows. Each commit gives the record a random tag, and each part that it writes one of its own: an equal tag means equal
// bytes, also after a record was removed and begun again. Sessions that are only asked for store nothing.
//
// # Commits
//
// A commit is one request and one synchronous transaction in the object, which compares commit and tag. Then the object brings its entry
// in the index up to date, and only then it answers: a list sees every commit that returned before it. If the object dies in
// between, or the index does not answer, the commit stays, its caller learns that the outcome is open, and an alarm that was set in
// the same transaction brings the index in step, some five seconds later.
//
// # Index
//
// Eight IndexObjects hold the heads, spread by a hash of the id; a list asks all of them. Cloudflare lets an object
// serve about a thousand requests a second, which bounds the commits of one session, and of all at eight times that.
//
// # Reading and watching
//
// A load tells which tags are known and gets the other parts; an unchanged record is an empty answer. A watch is a WebSocket that
// tells the newest commit and tag, also right after it opens, and the driver then loads; watches of one session share both. The
// objects sleep while their watchers wait.
//
// # Limits
//
// A record of 32 MiB and its ring fit one request. The object holds a request and its answer in memory, of which it has 128 MB: few
// records of that size can be read at once.
package cloudflaresession
