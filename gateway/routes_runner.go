package gateway

import (
	"net/http"
	"time"

	"vibesdk-gcp/gateway/auth"
)

// Timeouts of routes that take their time.
const (
	// uploadTimeout is for the largest archive on a slow line.
	uploadTimeout = 30 * time.Minute
	// deployTimeout is for a build and the start of what it made.
	deployTimeout = commandTimeout + deployWithin
	// analyzeTimeout is for two scripts of a linter, one after the other, each with [analysisTimeout].
	analyzeTimeout = 2*analysisTimeout + defaultTimeout
)

// runnerRoutes answer as VibeSDK's remote sandbox service does. They are at the root because VibeSDK puts its paths right
// behind the address of the service.
func (g *Gateway) runnerRoutes() []route {
	const read, write = auth.SandboxesRead, auth.SandboxesWrite
	live := []int{404, 409, http.StatusGone, 503, 504}
	row := func(method, path string, scope auth.Scope, handle handler, summary string, s spec) route {
		s.form = runnerForm
		if s.in.media != nil && s.maxBody == 0 {
			s.maxBody = maxInstance
		}
		return route{method, path, scope, handle, summary, s}
	}
	return []route{
		row("POST", "/instances", write, g.createInstance, "Make an instance and wait until it is ready", spec{
			in: jsonOf(instanceRequest{}), out: ok(Instance{}), fails: []int{404, 422, 501, 504}, timeout: g.Runner.Wait + defaultTimeout,
		}),
		row("GET", "/instances", read, g.listInstances, "List the instances that live", spec{out: ok(InstanceList{})}),
		row("GET", "/instances/{id}", read, g.getInstance, "Describe an instance", spec{out: ok(InstanceAnswer{}), fails: notFound}),
		row("DELETE", "/instances/{id}", write, g.shutdownInstance, "End an instance", spec{out: ok(Outcome{}), fails: notFound}),
		row("GET", "/instances/{id}/status", read, g.instanceStatus, "Tell how an instance is", spec{out: ok(InstanceStatus{}), fails: notFound}),
		row("GET", "/instances/{id}/files", read, g.getInstanceFiles, "Read files", spec{
			params: []param{query("filePaths", "A JSON array of paths. Without it the project's important files are read.", "")},
			out:    ok(InstanceFiles{}), fails: live,
		}),
		row("POST", "/instances/{id}/files", write, g.writeInstanceFiles, "Write files", spec{
			in: jsonOf(instanceWriteRequest{}), out: ok(InstanceWrites{}), fails: live,
		}),
		row("POST", "/instances/{id}/commands", write, g.runInstanceCommands, "Run commands", spec{
			in: jsonOf(instanceCommandsRequest{}), out: ok(InstanceCommands{}), fails: live, timeout: commandTimeout,
		}),
		row("GET", "/instances/{id}/logs", read, g.instanceLogs, "Read what the app printed", spec{
			params: []param{
				flagParam("reset", "Do not answer these lines again."),
				query("duration", "Only the last seconds.", schema{"type": "number", "minimum": 0}),
			},
			out: ok(InstanceLogs{}), fails: live,
		}),
		row("GET", "/instances/{id}/errors", read, g.instanceErrors, "List errors of an instance", spec{
			params: []param{query("clear", "Not looked at.", "")}, out: ok(InstanceErrors{}), fails: live,
		}),
		row("DELETE", "/instances/{id}/errors", write, g.clearInstanceErrors, "Forget errors of an instance", spec{out: ok(Outcome{}), fails: live}),
		row("GET", "/instances/{id}/analysis", read, g.analyze, "Lint and type-check the project", spec{
			params: []param{query("files", "Not looked at: the whole project is checked.", "")},
			out:    ok(InstanceAnalysis{}), fails: live, timeout: analyzeTimeout,
		}),
		row("POST", "/instances/{id}/name", write, g.renameInstance, "Rename the project", spec{
			in: jsonOf(instanceNameRequest{}), out: ok(Outcome{}), fails: live,
		}),
		row("POST", "/instances/{id}/deploy", auth.DeploymentsWrite, g.deployInstance, "Build the project and deploy it", spec{
			in: optionalJSON(schema{"type": "object"}), out: ok(InstanceDeployment{}), fails: also(live, 422, 501), timeout: deployTimeout,
		}),
		row("POST", "/instances/{id}/github/push", write, g.pushInstance, "Push the project to a Git repository", spec{
			in: jsonOf(instancePushRequest{}), out: ok(InstancePush{}), fails: also(live, 422), timeout: pushWithin + 2*defaultTimeout,
		}),
		row("POST", "/logs", write, g.debugLog, "Write a line to the debug log", spec{
			in: jsonOf(debugLogRequest{}), maxBody: maxDebugLog, out: ok(Outcome{}),
		}),
	}
}
