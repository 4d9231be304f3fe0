// Package gateway is the front door: an HTTP API that publishes requests, reads records and streams logs.
//
// It changes no state itself, but for the routes of apps. What a caller asks for becomes a message on the bus; what it shows is
// read from the ports. So any number of gateways may run, and none of them needs to know which worker is where.
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
//	GET    /v1/sessions                                    heads of agent sessions, ?after= &limit= &due=
//	GET    /v1/sessions/{id}                               head, parts and their sizes, number of jobs; DELETE ends it
//	GET    /v1/sessions/{id}/state                         the state byte for byte; PUT and PATCH change it
//	GET    /v1/sessions/{id}/parts/{part}                  the same of another part
//	POST   /v1/sessions/{id}:initialize :append :clone :destroy
//	POST   /v1/sessions/{id}/mutations                     any mutation, as on the topic
//	GET    /v1/sessions/{id}/mutations/{mutation}          what became of one
//	GET    /v1/sessions/{id}/history                       what became of the last ones
//	GET    /v1/sessions/{id}/events                        the session at each change, as server-sent events
//	GET    /v1/sessions/{id}/schedules[/{job}]             schedules; POST adds, DELETE cancels
//	GET    /v1/sessions/{id}/queue[/{job}]                 the queue; POST adds, DELETE removes, ?callback= or ?all=1
//	GET    /v1/sessions/{id}/export                        in the form of a Durable Object; POST import reads one
//	GET    /v1/deployments                                 apps and where they run, ?after= &limit=
//	GET    /v1/deployments/{name}                          one app; PUT sets it, DELETE removes it, with If-Match
//	GET    /v1/deployments/{name}/history                  who changed it, and how
//	POST   /v1/sources                                     upload an archive to name in a request
//	POST   /instances                                      as VibeSDK's remote sandbox service, see below; GET lists
//	GET    /instances/{id}[/status]                        one instance; DELETE ends it
//	GET    /instances/{id}/files                           ?filePaths=["a"]; POST writes files
//	POST   /instances/{id}/commands /name /deploy /github/push
//	GET    /instances/{id}/logs /errors /analysis          DELETE errors clears them
//	POST   /logs                                           a line for the debug log
//	GET    /agents/{agent}/{name}                          WebSocket for clients of the agents package
//	GET    /healthz /readyz /metrics                       for machines
//
// # Who may call
//
// Without an API key the gateway answers this machine only: the request's Host must be a loopback name, which a
// page that rebinds its DNS name cannot have. With a key every call except the health checks must carry it as a
// bearer token. In both cases a browser page of another origin, a preview of this very gateway included, is
// refused: previews run code of strangers.
//
// # Writing to a session
//
// A write is published as a mutation, and its answer is the outcome: the version after it, which is the ETag of what is
// read. The call waits for it for ten seconds, or as Prefer: wait=<seconds> says, or not at all with Prefer:
// respond-async. Then the answer is 202 with the address to ask at; the write is durable on its way.
//
//	If-Match: "7"            only at version 7, else 412 with the present version
//	If-None-Match: *         only if the session is not there, else 412
//	Idempotency-Key: <id>    the id of the mutation: the same id twice is one write, with other content 422
//
// Other refusals: 409 initialized before, or not in that place; 404 source, path or job not there; 422 the payload does not
// fit what is there; 413 too large.
//
// # Instances
//
// The routes at the root answer an unmodified VibeSDK that is set to SANDBOX_SERVICE_TYPE=runner. An instance is a sandbox.
// Its creation is answered when it is ready; one that is not in time, or whose caller has left, is stopped. Asking for its
// status is no use of it. One that came to its planned end is healthy and `stopped`, so that health checks do not bring it
// back; acting on it fails with "Network connection lost", at which VibeSDK makes a new one. What was deployed lasts.
//
// # Clients of agents
//
// Unmodified clients of the agents package connect to /agents/{agent}/{name}. The agent is in kebab case, the name is taken as it is
// spelled, and the session is called agent/name, or by the name alone for [AgentOptions.Main]. A client is told the identity, the state
// if there is one, and the MCP servers; then each state as it is applied, whoever published it. A state frame is published as a PUT,
// and its sender alone does not get it back. These methods are answered here:
//
//	initialize(state) isInitialized() getFullState() setState(state)
//	schedule(when, callback, payload, {id, retry, idempotent}) scheduleEvery(seconds, callback, payload, …)
//	cancelSchedule(id) getSchedule(id) getSchedules({id, type, timeRange}) listSchedules(…)
//	queue(callback, payload, {id, retry}) dequeue(id) dequeueAll() dequeueAllByCallback(callback) getQueues(key, value)
//
// Others do not exist. Other messages, and requests that are no upgrade, have nobody who would take them: the first are dropped, the
// second are 404. Sub-agents and the capnweb transport are refused.
//
// States that were applied in one commit show one by one when they came through this gateway, and otherwise as the last of them. A
// client that wrote while another's state was on its way to it is shown its own again, so that all end with the same.
//
// With an API key a client sends it as a bearer token or, since browsers cannot, as ?token=, which logs of proxies may show.
//
//	1001  the session was destroyed            1011  the session cannot be read
//	1008  refused for good                     1012  the gateway restarts
//	1009  a message over 32 MiB                1013  too many connections, or the client reads too slowly
//
// # Errors
//
// Errors are RFC 9457 problem documents, made in one table in errors.go. The publish call answers in Google's form, since
// its callers are Google's clients, and instances as {"success":false,"error":"…"}.
package gateway
