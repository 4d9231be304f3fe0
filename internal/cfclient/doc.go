// Package cfclient calls the bridge Worker, which reaches what an account has on Cloudflare. It is transport: it knows the
// rules that hold for every path, and none of the things behind them. infra/cloudflare/bridge/README.md lists the paths.
//
// # Requests
//
// All paths begin with /v1; another version would stand beside it. Each request carries `Authorization: Bearer <key>`. Ids and
// names travel as query parameters, since paths are changed on their way. Bodies must say their Content-Length: at most 36 MiB,
// and 100 MiB for an import.
//
// # Frames
//
// A body with large binary pieces is a frame (application/vnd.vibesdk.frame): a JSON header and up to 64 blobs.
//
//	uint32   number of blobs, n           numbers are big-endian
//	uint32   bytes of the header
//	uint32   bytes of each blob, n times
//	…        the header, then the blobs, back to back
//
// # Errors
//
// A refusal has the header X-Bridge-Error: <code> and a JSON body {"code", "message"}; it becomes an [Error]. An answer without that
// header comes from whatever the bridge passed the request to.
//
//	401  unauthorized                  503  not_configured, overloaded, unavailable, index_unavailable
//	400  invalid                       411  length_required        413  too_large
//	404  not_found, …                  500  internal               501  unsupported
//	502  agent_failed, worker_failed
//
// # Retries
//
// [Client.Do] tries again, with full jitter from 50 ms to 2 s and at most [Options.Tries] times, what is marked Safe:
// when there was no answer, and after 429, 502, 503 and 504. Everything else is tried once: an error that is no [Error] leaves
// open whether it happened.
//
// # Passing through
//
// [Client.Forward] sends a request to an agent or a dispatched Worker as it is: the target sees the method, the body, the headers and
// the address that the caller names. X-Bridge-Url has the address, X-Bridge-Authorization the Authorization that is
// meant for the target; no other header that begins with X-Bridge- reaches it.
package cfclient
