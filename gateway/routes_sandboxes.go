package gateway

import (
	"net/http"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas/gen"
)

// sandboxRoutes are about sandboxes and what goes into them.
func (g *Gateway) sandboxRoutes() []route {
	phase := query("phase", "Only this log.", schema{"type": "string", "enum": []sandbox.Phase{sandbox.PhaseBuild, sandbox.PhaseServe}})
	return []route{
		{"POST", "/v1/sources", auth.SandboxesWrite, g.upload, "Upload an archive to name in a request", spec{
			in: bytesOf("application/gzip", "application/octet-stream"), maxBody: MaxSource, timeout: uploadTimeout,
			out: map[int]content{http.StatusCreated: jsonOf(Source{})},
		}},

		{"POST", "/v1/sandboxes", auth.SandboxesWrite, g.run, "Publish a request to run a sandbox", spec{
			about: "The request id makes it one sandbox however often the request arrives; one is made up when it has none. A request that " +
				"names an app deploys it, which needs deployments:write as well.",
			in: jsonOf(&gen.SandboxRequest{}), maxBody: events.MaxData,
			out: map[int]content{http.StatusAccepted: jsonOf(Accepted{}).with("Location", "The address of the sandbox.")},
		}},
		{"GET", "/v1/sandboxes", auth.SandboxesRead, g.list, "List sandboxes ordered by id", spec{
			params: []param{
				query("state", "Only those in these states; several are given again or with commas.", schema{"type": "array", "items": schema{"type": "string"}}),
				limitParam(1000), afterParam,
			},
			out: ok(Page{}),
		}},
		{"GET", "/v1/sandboxes/{id}", auth.SandboxesRead, g.get, "Show a sandbox", spec{out: ok(Sandbox{}), fails: notFound}},
		{"POST", "/v1/sandboxes/{id}:stop", auth.SandboxesWrite, g.stop, "Publish a request to stop a sandbox", spec{
			out: map[int]content{http.StatusAccepted: jsonOf(Sandbox{})}, fails: notFound,
		}},
		{"GET", "/v1/sandboxes/{id}/events", auth.SandboxesRead, g.watch, "Follow a sandbox", spec{
			about: "Server-sent events named sandbox, whose data is the sandbox and whose id its version, until it has ended.",
			params: []param{
				headerParam("Last-Event-ID", "The id of the last event that was seen: what is newer is sent."),
			},
			out: map[int]content{200: bytesOf(eventStreamType), 204: none}, fails: notFound, timeout: endless,
		}},
		{"GET", "/v1/sandboxes/{id}/logs", auth.SandboxesRead, g.logs, "Read what a sandbox printed", spec{
			about: "Text: the build log, then the server's. With Accept: text/event-stream, server-sent events named log whose data is " +
				`{"generation":1,"phase":"build","text":"whole lines"} and whose id is where to go on. Such a stream follows until an event named end.`,
			params: []param{
				phase, query("offset", "Begin at this byte of the log that phase names.", schema{"type": "integer", "minimum": 0}),
				query("limit", "At most so many bytes of the log that phase names. A page that has fewer is the last for now.", schema{"type": "integer", "minimum": 1}),
				flagParam("follow", "Go on until the sandbox, or the phase, has ended."),
				headerParam("Last-Event-ID", "The id of the last event that was seen: what follows it is sent."),
			},
			out: map[int]content{200: bytesOf("text/plain", eventStreamType), 204: none}, fails: notFound, timeout: endless,
		}},

		{"GET", "/v1/sandboxes/{id}/files", auth.SandboxesRead, g.listFiles, "List the files of the running app", spec{
			params: []param{pathParam, query("glob", "Only files whose path matches.", ""), flagParam("all", "Also what is generated or hidden.")},
			out:    ok(sandbox.FileList{}), fails: liveFails,
		}},
		{"GET", "/v1/sandboxes/{id}/files/{path...}", auth.SandboxesRead, g.readFile, "Read a file of the running app", spec{
			out: map[int]content{200: bytesOf("application/octet-stream")}, fails: liveFails,
		}},
		{"PUT", "/v1/sandboxes/{id}/files/{path...}", auth.SandboxesWrite, g.writeFile, "Write a file of the running app", spec{
			params: []param{flagParam("executable", "Make it a program.")},
			in:     optional(bytesOf("application/octet-stream", "*/*")), maxBody: sandbox.ControlFileLimit,
			out: noContent(), fails: liveFails,
		}},
		{"DELETE", "/v1/sandboxes/{id}/files/{path...}", auth.SandboxesWrite, g.deleteFile, "Remove a file of the running app", spec{
			params: []param{flagParam("recursive", "Also a folder with all that is in it.")},
			out:    noContent(), fails: liveFails,
		}},
		{"POST", "/v1/sandboxes/{id}/commands", auth.SandboxesWrite, g.runCommands, "Run commands in the running app", spec{
			in: jsonOf(sandbox.CommandBatch{}), maxBody: maxCommands, out: ok(sandbox.CommandResults{}), fails: liveFails,
			timeout: commandTimeout,
		}},
		{"GET", "/v1/sandboxes/{id}/errors", auth.SandboxesRead, g.listErrors, "List errors that the app printed", spec{
			out: ok(sandbox.LoggedErrors{}), fails: liveFails,
		}},
		{"DELETE", "/v1/sandboxes/{id}/errors", auth.SandboxesWrite, g.clearErrors, "Forget errors that the app printed", spec{
			out: noContent(), fails: liveFails,
		}},
	}
}

// commandTimeout leaves the guest time to say that commands took too long.
const commandTimeout = sandbox.ControlTimeoutLimit + defaultTimeout

func optional(c content) content {
	c.optional = true
	return c
}
