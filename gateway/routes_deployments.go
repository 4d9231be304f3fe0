package gateway

import (
	"net/http"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/platform/deployment"
)

// deploymentRoutes are about what runs at the hosts of apps.
func (g *Gateway) deploymentRoutes() []route {
	if g.Deployments == nil {
		return nil
	}
	ifMatch := headerParam("If-Match", "The ETag that was read: the write is made only at that version.")
	ifNone := headerParam("If-None-Match", "*: the write is made only when there is no such app.")
	app := func() content { return jsonOf(deployment.App{}).with("ETag", "The app's version.") }
	return []route{
		{"GET", "/v1/deployments", auth.DeploymentsRead, g.listDeployments, "List apps by name", spec{
			params: []param{afterParam, limitParam(1000)}, out: ok(DeploymentPage{}),
		}},
		{"GET", "/v1/deployments/{name}", auth.DeploymentsRead, g.getDeployment, "Show an app", spec{
			out: map[int]content{http.StatusOK: app()}, fails: notFound,
		}},
		{"PUT", "/v1/deployments/{name}", auth.DeploymentsWrite, g.putDeployment, "Set all of an app", spec{
			about:  "What the body leaves out is not set any more.",
			params: []param{ifMatch, ifNone}, in: jsonOf(deploymentRequest{}), maxBody: maxDeploymentBody,
			out: map[int]content{http.StatusOK: app(), http.StatusCreated: app()}, fails: []int{http.StatusConflict, http.StatusPreconditionFailed},
		}},
		{"DELETE", "/v1/deployments/{name}", auth.DeploymentsWrite, g.deleteDeployment, "Remove an app", spec{
			about:  "What runs at its place goes on running.",
			params: []param{ifMatch}, out: noContent(), fails: []int{http.StatusNotFound, http.StatusPreconditionFailed},
		}},
		{"GET", "/v1/deployments/{name}/history", auth.DeploymentsRead, g.deploymentHistory, "List the changes of an app, newest first", spec{
			params: []param{limitParam(deployment.HistoryLength)}, out: ok(DeploymentHistory{}), fails: notFound,
		}},
	}
}
