// Package gateway is the front door: an HTTP API that publishes requests, reads records and streams logs.
//
// It changes no state itself. What a caller asks for becomes a message on the bus; what it shows is read from
// the ports. So any number of gateways may run, and none of them needs to know which worker is where.
//
//	POST   /v1/projects/{project}/topics/{topic}:publish   Pub/Sub's own publish call
//	POST   /v1/sandboxes                                   publish a request to run a sandbox
//	GET    /v1/sandboxes                                   list, ?state= &limit= &after=
//	GET    /v1/sandboxes/{id}                              record and preview address
//	POST   /v1/sandboxes/{id}:stop                         publish a request to stop it
//	GET    /v1/sandboxes/{id}/events                       changes of the record, as server-sent events
//	GET    /v1/sandboxes/{id}/logs                         build and server log, ?phase= &offset= &follow=1
//	GET    /v1/sandboxes/{id}/files                        files of the running app, ?path= &glob=
//	GET    /v1/sandboxes/{id}/files/{path}                 one file; PUT writes it, DELETE removes it
//	POST   /v1/sandboxes/{id}/commands                     run commands in the running app
//	GET    /v1/sandboxes/{id}/errors                       errors that the app reported; DELETE clears them
//	POST   /v1/sources                                     upload an archive to name in a request
//	GET    /healthz /readyz /metrics                       for machines
//
// # Who may call
//
// Without an API key the gateway answers this machine only: the request's Host must be a loopback name, which a
// page that rebinds its DNS name cannot have. With a key every call except the health checks must carry it as a
// bearer token. In both cases a browser page of another origin, a preview of this very gateway included, is
// refused: previews run code of strangers.
//
// # Errors
//
// Errors are RFC 9457 problem documents, made in one table in errors.go. The publish call alone answers in
// Google's form, since its callers are Google's clients.
package gateway
