// Package router is the door for browsers: it takes a host name to a sandbox preview or a deployed app and
// proxies HTTP and WebSocket to it.
//
//	<sandbox>-<token>.<preview domain>   a preview, if the token is the published one
//	<app>.<domain>                       a deployed app, by the first label
//
// Both domains may be one, as in VibeSDK's own setup: what has the form of a preview is a preview then, also one that is not there.
//
// # Previews run code nobody has read
//
// A preview gets no credentials: of the request's headers only a short list crosses, never Cookie or
// Authorization. A wrong, stale or unknown token is 404 "Not found" whatever the cause, contacts nothing and
// counts as no activity. The paths under /.sandbox/ are the sandbox's own and are 404 from outside.
//
// A deployed app is its owner's: it gets the request as it came, less what a client could use to speak in the
// router's name (X-Forwarded-* and the like), and less the router's own cookies and owner tokens. No app sets a cookie for another host than its
// own.
//
// # Private apps
//
// To everybody but its owner a private app is one that is not there. The owner comes with a token that VibeSDK signs: in the query
// of the first request, which becomes a cookie, and in that cookie afterwards. It is good for one app and one hour. Answers of private
// apps are kept out of shared caches. Who may see an app is at most a second old.
//
// # Two places of one app
//
// A rollout sends a share of the visitors elsewhere, and each of them always to the same place; see rollout.go.
//
// # Where endpoints may lead
//
// Services must be at hosts of a list and at addresses of the Internet, or of networks that are named; processes on this machine, and
// not at the router's own door. Addresses are checked when a connection is made, after the name was looked up, so a name that
// changes its address gains nothing. What is stored is not believed.
//
// # What callers see
//
// | Case | Answer | X-Preview-Type and CORS headers |
// |---|---|---|
// | preview answers | as it is | sandbox, or sandbox-error for status 500 |
// | preview cannot be reached | 500 "Proxy routing error" | sandbox-error |
// | no such preview or token, /.sandbox/ | 404 "Not found" | none |
// | app answers | as it is | dispatcher |
// | no such app, or a private one | 404 "This application is not currently available." | none |
// | app cannot be reached, or may not be | 500 "An error occurred while loading this application." | none |
// | WebSocket accepted | 101 as it is, but for cookies | none |
// | host is an IPv4 address | 403 "Access denied. Please use the assigned domain name." | none |
// | host is nobody's | 404 "Not Found" | none |
// | body over [Options.MaxBody] | 413 "Request body too large" | none |
// | over [Options.MaxPerApp] requests | 503 "Too many connections" | none |
//
// These texts and headers are VibeSDK's, whose web client reads them.
//
// # The server around it
//
// [Router.Lane] is a listener for it that answers plain requests itself, much faster, and leaves all others to it.
//
// The server needs a ReadHeaderTimeout but no WriteTimeout, which would cut streams. On shutdown call
// [Router.Close] first: it ends WebSockets and event streams, which otherwise never end by themselves; other requests
// finish.
package router
