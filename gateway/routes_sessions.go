package gateway

import (
	"net/http"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/cfexport"
	"vibesdk-gcp/schemas/gen"
)

// Parameters and statuses of all writes to sessions.
var (
	preferParam = headerParam("Prefer", "wait=<seconds>, at most 60, to wait for the outcome, or respond-async. Ten seconds by default.")
	writeParams = []param{
		headerParam("If-Match", "The ETag that was read: the write is made only at that version."),
		headerParam("If-None-Match", "*: the write is made only when the session is not there."),
		headerParam("Idempotency-Key", "The id of the mutation: the same id twice is one write."),
		preferParam,
	}
	writeFails = []int{
		http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity,
	}
)

// written is what writes answer.
func written() map[int]content {
	return map[int]content{http.StatusOK: decided(), http.StatusAccepted: undecided()}
}

// made is what writes answer that make something with an address.
func made() map[int]content {
	return map[int]content{http.StatusCreated: decided().with("Location", "The address of what was made."), http.StatusAccepted: undecided()}
}

func decided() content {
	return jsonOf(MutationResult{}).with("ETag", "The version after the write.")
}

func undecided() content {
	return jsonOf(MutationResult{}).with("Location", "Where the outcome can be asked for.")
}

// sessionRoutes are about agent sessions.
func (g *Gateway) sessionRoutes() []route {
	rows := []route{
		{"GET", "/v1/sessions", auth.SessionsRead, g.listSessions, "List sessions", spec{
			about: "Ordered by id, or, with due, those with a job due by then in the order of that time.",
			params: []param{
				afterParam, limitParam(1000), query("due", "Only sessions with a job due by this time.", timeSchema),
				query("afterTime", "The time that the page follows: nextTime of the page before, with due.", timeSchema),
			},
			out: ok(SessionPage{}),
		}},
		{"GET", "/v1/sessions/{id}", auth.SessionsRead, g.getSession, "Show a session", spec{
			out: map[int]content{200: jsonOf(SessionDetail{}).with("ETag", "The session's version.")}, fails: notFound,
		}},
		{"DELETE", "/v1/sessions/{id}", auth.SessionsWrite, g.destroy, "End a session", spec{params: writeParams, out: written(), fails: writeFails}},
		{"POST", "/v1/sessions/{id}:destroy", auth.SessionsWrite, g.destroy, "Destroy a session", spec{params: writeParams, out: written(), fails: writeFails}},
		{"POST", "/v1/sessions/{id}:initialize", auth.SessionsWrite, g.initialize, "Give a session its first state", spec{
			params: writeParams, in: jsonOf(anyJSON), maxBody: session.MaxPart, out: written(), fails: writeFails,
		}},
		{"POST", "/v1/sessions/{id}:append", auth.SessionsWrite, g.appendTo, "Append to an array of a session", spec{
			params: writeParams, in: jsonOf(AppendRequest{}), maxBody: session.MaxPart, out: written(), fails: writeFails,
		}},
		{"POST", "/v1/sessions/{id}:clone", auth.SessionsWrite, g.clone, "Make a session a copy of another", spec{
			params: writeParams, in: jsonOf(CloneRequest{}), out: written(), fails: writeFails,
		}},
		{"POST", "/v1/sessions/{id}/mutations", auth.SessionsWrite, g.postMutation, "Publish any mutation", spec{
			about:  "The message as it travels on the topic, without the session's id.",
			params: []param{writeParams[2], preferParam},
			in:     jsonOf(&gen.StateMutation{}), maxBody: events.MaxData, out: written(), fails: writeFails,
		}},
		{"GET", "/v1/sessions/{id}/mutations/{mutation}", auth.SessionsRead, g.mutationOutcome, "Show what became of a mutation", spec{
			params: []param{preferParam}, out: ok(MutationResult{}), fails: notFound,
		}},
		{"GET", "/v1/sessions/{id}/history", auth.SessionsRead, g.history, "List the last mutations, newest first", spec{
			params: []param{limitParam(10_000)}, out: ok(SessionHistory{}), fails: notFound,
		}},
		{"GET", "/v1/sessions/{id}/events", auth.SessionsRead, g.watchSession, "Follow a session", spec{
			about: "Server-sent events named state, whose id is the commit: now and after each change. Quick changes may show as one.",
			params: []param{
				flagParam("state", "Whether the events hold the state. By default they do."),
				headerParam("Last-Event-ID", "The id of the last event that was seen: what is newer is sent."),
			},
			out: map[int]content{200: bytesOf("text/event-stream")}, fails: notFound, timeout: endless,
		}},
		{"GET", "/v1/sessions/{id}/export", auth.SessionsRead, g.exportSession, "Export a session in the form of a Durable Object", spec{
			params: []param{query("form", "How jobs are written: as older or newer releases of the agents SDK do.", schema{"type": "string", "enum": []string{"tables", "jobs"}})},
			out:    map[int]content{200: jsonOf(schema{"type": "object"}).with("ETag", "The session's version.")}, fails: notFound,
		}},
		{"POST", "/v1/sessions/{id}/import", auth.SessionsWrite, g.importSession, "Make a session of an export", spec{
			params: writeParams, in: jsonOf(schema{"type": "object"}), maxBody: cfexport.MaxDump, out: written(), fails: writeFails,
		}},
	}
	return append(append(rows, g.partRoutes()...), g.jobRoutes()...)
}

// partRoutes read and write parts, the state under a name of its own.
func (g *Gateway) partRoutes() []route {
	var rows []route
	for _, part := range []struct{ path, of string }{{"state", "the state of a session"}, {"parts/{part}", "a part of a session"}} {
		path := "/v1/sessions/{id}/" + part.path
		rows = append(rows,
			route{"GET", path, auth.SessionsRead, g.getPart, "Read " + part.of, spec{
				params: []param{headerParam("If-None-Match", "ETags that the caller has: 304 when the version is one of them.")},
				out:    map[int]content{200: jsonOf(anyJSON).with("ETag", "The session's version."), 304: none}, fails: notFound,
			}},
			route{"PUT", path, auth.SessionsWrite, g.putPart, "Replace " + part.of, spec{
				params: writeParams, in: jsonOf(anyJSON), maxBody: session.MaxPart, out: written(), fails: writeFails,
			}},
			route{"PATCH", path, auth.SessionsWrite, g.patchPart, "Change " + part.of, spec{
				about:  "By a merge patch (RFC 7396) or a list of operations (RFC 6902).",
				params: writeParams, maxBody: session.MaxPart,
				in:  content{media: []media{{mergePatch, anyJSON}, {jsonPatch, schema{"type": "array", "items": schema{"type": "object"}}}}},
				out: written(), fails: also(writeFails, http.StatusUnsupportedMediaType),
			}},
		)
	}
	return rows
}

// jobRoutes are about schedules and the queue.
func (g *Gateway) jobRoutes() []route {
	tagged := map[int]content{200: jsonOf(JobList{}).with("ETag", "The session's version.")}
	id, callback := query("id", "Only this one.", ""), query("callback", "Only those of this method.", "")
	return []route{
		{"GET", "/v1/sessions/{id}/schedules", auth.SessionsRead, g.listSchedules, "List schedules", spec{
			params: []param{
				id, query("type", "Only those of this type.", schema{"type": "string", "enum": []session.JobType{session.JobDelayed, session.JobScheduled, session.JobCron, session.JobInterval}}),
				callback, query("from", "Only those due at this time or later.", timeSchema), query("to", "Only those due at this time or before.", timeSchema),
			},
			out: tagged, fails: notFound,
		}},
		{"POST", "/v1/sessions/{id}/schedules", auth.SessionsWrite, g.schedule, "Add a schedule", spec{
			params: writeParams, in: jsonOf(session.ScheduleRequest{}), maxBody: maxJob, out: made(), fails: writeFails,
		}},
		{"GET", "/v1/sessions/{id}/schedules/{job}", auth.SessionsRead, g.getSchedule, "Show a schedule", spec{out: ok(Job{}), fails: notFound}},
		{"DELETE", "/v1/sessions/{id}/schedules/{job}", auth.SessionsWrite, g.cancelSchedule, "Cancel a schedule", spec{
			params: writeParams, out: written(), fails: writeFails,
		}},
		{"GET", "/v1/sessions/{id}/queue", auth.SessionsRead, g.listQueue, "List the queue in its order", spec{
			params: []param{id, callback}, out: tagged, fails: notFound,
		}},
		{"POST", "/v1/sessions/{id}/queue", auth.SessionsWrite, g.enqueue, "Add to the queue", spec{
			params: writeParams, in: jsonOf(session.EnqueueRequest{}), maxBody: maxJob, out: made(), fails: writeFails,
		}},
		{"DELETE", "/v1/sessions/{id}/queue", auth.SessionsWrite, g.clearQueue, "Remove from the queue all of a callback, or all", spec{
			params: append([]param{callback, flagParam("all", "Remove everything.")}, writeParams...), out: written(), fails: writeFails,
		}},
		{"GET", "/v1/sessions/{id}/queue/{job}", auth.SessionsRead, g.getQueued, "Show a queued item", spec{out: ok(Job{}), fails: notFound}},
		{"DELETE", "/v1/sessions/{id}/queue/{job}", auth.SessionsWrite, g.dequeue, "Remove a queued item", spec{
			params: writeParams, out: written(), fails: writeFails,
		}},
	}
}
