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
//	GET    /v1/sandboxes/{id}/logs                         build and server log, ?phase= &offset= &limit= &follow=1, or as server-sent events
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
//	GET    /api/agent/{agentId}/ws                         WebSocket for VibeSDK's page and SDK; /connect tells its address
//	POST   /api/ws-ticket                                  a ticket for one connection there
//	GET    /openapi.json                                   all of this as an OpenAPI 3.1 document
//	GET    /healthz /readyz /metrics                       for machines
//
// # Who may call
//
// Without callers the gateway answers this machine only: the request's Host must be a loopback name, which a page that rebinds its
// DNS name cannot have. With callers every call except the health checks and /openapi.json must carry a bearer token, an API key or
// an ID token of Google, whose caller has the scope of the route; package auth describes them. In both cases a browser page of another
// origin, a preview of this very gateway included, is refused unless [Options.Origins] has it: previews run code of strangers.
//
// No cookie counts for anything, so that no page can make a browser call in its user's name.
//
// # Bounds
//
// Each route bounds its body (413) and the time of its handler (504), streams excepted. A body must arrive at [Pace], else 408. An
// answer must be taken at 64 KiB in [Options.AnswerTimeout], else the connection is cut. Each request is a line of the log at level
// info: method, path, route, status, bytes, duration, the caller's name, address and trace, and nothing of query, headers and bodies.
//
// # The table
//
// What routes there are, what they take and what they answer stands in one table, routes*.go, from which the mux and the OpenAPI
// 3.1 document at /openapi.json are made. A new route is a row.
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
// # Clients of VibeSDK
//
// VibeSDK's page and SDK connect to /api/agent/{agentId}/ws, when [VibeSDKOptions.JWTSecret] is set. These routes ask for no API key but
// for a token of VibeSDK's: HS256, type access, with sub, email, sessionId, iat and exp. It is looked for in Authorization: Bearer, in
// the cookies accessToken, auth_token and jwt, and for the WebSocket in ?token= and ?access_token=; the first place that has one
// counts. The user must be the one that the session's state names, metadata.userId or inferenceContext.userId. A page must be of this
// origin or of [AgentOptions.Origins]; a program needs a bearer token. Or the connection has a ?ticket=, which its owner got from
// POST /api/ws-ticket with {"resourceType":"agent","resourceId":"…"}: it is good for 15 seconds and one connection, on any gateway with
// the secret and the same backend of limits, and for any page.
//
//	401  no token, or not a good one           403  not the owner, not a good ticket, not a good origin
//	404  the agent is not initialized          426  no Upgrade: websocket, spelled so
//	429  over a limit                          503  the owner or the ticket cannot be checked now
//
// The session is the one of [AgentOptions.Main] at /agents/…. A client is told the identity, the state, the MCP servers and
// agent_connected. Each change is sent to everybody as {"type":"<frame of the agents protocol>"}, with the id of the connection that
// sent it, if one did, as "0": a page of October 2025 that saw a typed state would begin a generation again and again. A client may
// write the state but not its owner, and call nothing. Other messages are the agent host's. Without one
// get_conversation_state is answered from the session, preview runs its files in a sandbox and tells all of VibeSDK's clients, and
// what needs an agent is answered with an error frame. See docs/decisions/0013.
//
// # Errors
//
// Errors are RFC 9457 problem documents, made in one table in errors.go. The publish call answers in Google's form, since
// its callers are Google's clients, and instances as {"success":false,"error":"…"}.
package gateway
