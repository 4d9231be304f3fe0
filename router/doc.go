// Package router is the door for browsers: it takes a host name to a sandbox preview or a deployed app and
// proxies HTTP and WebSocket to it.
//
//	<sandbox>-<token>.<preview domain>   a preview, if the token is the published one
//	<app>.<domain>                       a deployed app, by the first label
//
// # Previews run code nobody has read
//
// A preview gets no credentials: of the request's headers only a short list crosses, never Cookie or
// Authorization. A wrong, stale or unknown token is 404 "Not found" whatever the cause, contacts nothing and
// counts as no activity. The paths under /.sandbox/ are the sandbox's own and are 404 from outside.
//
// A deployed app is its owner's: it gets the request as it came, less what a client could use to speak in the
// router's name (X-Forwarded-* and the like).
//
// # What callers see
//
// | Case | Answer | X-Preview-Type and CORS headers |
// |---|---|---|
// | preview answers | as it is | sandbox, or sandbox-error for status 500 |
// | preview cannot be reached | 500 "Proxy routing error" | sandbox-error |
// | no such preview or token, /.sandbox/ | 404 "Not found" | none |
// | app answers | as it is | dispatcher |
// | no such app | 404 "This application is not currently available." | none |
// | app cannot be reached | 500 "An error occurred while loading this application." | none |
// | WebSocket accepted | 101 as it is | none |
//
// These texts and headers are VibeSDK's, whose web client reads them.
//
// # The server around it
//
// The server needs a ReadHeaderTimeout but no WriteTimeout, which would cut streams. On shutdown call
// [Router.Close] first: it ends WebSockets and event streams, which otherwise never end by themselves; other requests
// finish.
package router
