package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas/gen"
)

const (
	// DeploymentPrefix is where the files of deployments go in the bucket. They stay: a deployment may start again at any
	// time.
	DeploymentPrefix = "deployments/"
	// deployWithin bounds the time from the end of the build to an app that answers.
	deployWithin = 2 * time.Minute
)

// outputs are the folders where builds put a site, the first with an index.html counts.
var outputs = []string{"dist/client", "dist", "build/client", "build", "out"}

// InstanceDeployment answers a call that deployed an instance's project.
type InstanceDeployment struct {
	Outcome

	// Message is required here, also when it is empty.
	Message      string `json:"message"`
	DeployedURL  string `json:"deployedUrl"`
	DeploymentID string `json:"deploymentId"`
	Output       string `json:"output,omitempty"`
}

// deployInstance builds the project and makes a lasting deployment of the site that comes out, under the project's name.
// It does not end with the instance. A deployment of that name is replaced once the new one answers. Only static
// files are deployed: a Worker script beside them is not.
func (g *Gateway) deployInstance(w http.ResponseWriter, r *http.Request) error {
	record, control, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	name := appName(record.ProjectName)
	switch {
	case g.Runner.Apps == nil || g.Runner.AppURL == nil:
		return &httpError{http.StatusNotImplemented, "no-apps", "this server deploys no apps"}
	case name == "":
		return badRequest(fmt.Sprintf("the project's name %q cannot be the name of a host: rename it", record.ProjectName))
	}
	output, err := buildSite(r.Context(), control)
	if err != nil {
		return lostGuest(err)
	}
	folder, files, err := readSite(r.Context(), control)
	if err != nil {
		return lostGuest(err)
	}
	address, err := g.storeArchive(r.Context(), DeploymentPrefix+name+"/", files)
	if err != nil {
		return err
	}
	if err := g.deploy(r, name, record.ProjectName, address); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, InstanceDeployment{
		Outcome: Outcome{Success: true}, Message: fmt.Sprintf("deployed %d files of %s", len(files), folder),
		DeployedURL: g.Runner.AppURL(name), DeploymentID: name, Output: output,
	})
	return nil
}

// appName makes a DNS label of a project's name; empty when nothing of it can be one.
func appName(project string) string {
	label := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(project))
	label = strings.Trim(label, "-")
	return strings.Trim(label[:min(len(label), deployment.MaxAppName)], "-")
}

// buildSite runs the project's build and returns the end of what it printed.
func buildSite(ctx context.Context, control *sandbox.Control) (string, error) {
	results, err := control.Run(ctx, []string{withBun("bun run build", "npm run build")}, sandbox.ControlTimeoutLimit)
	if err != nil {
		return "", err
	}
	printed := strings.TrimSpace(results[0].Output + "\n" + results[0].Error)
	printed = strings.ToValidUTF8(printed[max(0, len(printed)-shownTail):], "")
	if !results[0].Success {
		return "", &httpError{http.StatusUnprocessableEntity, "failed", fmt.Sprintf("Build failed with exit code %d:\n%s", results[0].ExitCode, printed)}
	}
	return printed, nil
}

// readSite reads the site that a build made, by paths relative to its folder.
func readSite(ctx context.Context, control *sandbox.Control) (folder string, files map[string]string, err error) {
	for _, folder := range outputs {
		list, err := control.ListFiles(ctx, sandbox.FileQuery{Path: folder})
		if errors.Is(err, sandbox.ErrFileNotFound) || errors.Is(err, sandbox.ErrInvalid) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		index := path.Join(folder, "index.html")
		if !slices.ContainsFunc(list.Files, func(f sandbox.FileInfo) bool { return f.Path == index && !f.Dir }) {
			continue
		}
		if list.Truncated {
			return "", nil, badRequest(fmt.Sprintf("the build made more than %d files", sandbox.ControlListLimit))
		}
		files, err := readSiteFiles(ctx, control, folder, list.Files)
		return folder, files, err
	}
	return "", nil, &httpError{http.StatusUnprocessableEntity, "failed", "the build made no site: there is no index.html in " + strings.Join(outputs, ", ")}
}

func readSiteFiles(ctx context.Context, control *sandbox.Control, folder string, list []sandbox.FileInfo) (map[string]string, error) {
	files, total := map[string]string{}, 0
	for _, info := range list {
		if info.Dir {
			continue
		}
		body, err := control.ReadFile(ctx, info.Path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", info.Path, err)
		}
		if total += len(body); total > MaxSource {
			return nil, &http.MaxBytesError{Limit: MaxSource}
		}
		files[strings.TrimPrefix(info.Path, folder+"/")] = string(body)
	}
	return files, nil
}

// deploy runs the site as a deployment and waits until the app's host leads to it.
func (g *Gateway) deploy(r *http.Request, name, project, address string) error {
	unique, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("request id: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), deployWithin, errWaited)
	defer cancel()
	req := &gen.SandboxRequest{
		RequestId: "deploy-" + unique.String(), Action: gen.SandboxRequest_RUN, ProjectName: project, AppName: name,
		Source: &gen.SandboxRequest_Source{ArchiveUri: address}, StaticDir: ".",
	}
	if err := g.request(r, req); err != nil {
		return err
	}
	id := sandbox.IDFor(req.GetRequestId())
	record, err := g.awaitInstance(ctx, id)
	if err == nil && record.State == sandbox.Ready {
		err = g.awaitRoute(ctx, name, record)
	}
	if err != nil && !errors.Is(err, errReplaced) {
		g.abandon(r.Context(), id)
	}
	switch {
	case errors.Is(err, errWaited):
		return &httpError{http.StatusGatewayTimeout, "timeout", "the deployment did not answer within " + deployWithin.String() + " and was stopped"}
	case err != nil:
		return err
	case record.State != sandbox.Ready:
		return &httpError{http.StatusUnprocessableEntity, "failed", "Deployment failed: " + afterlife(record)}
	}
	return nil
}

var errReplaced = &httpError{http.StatusConflict, "conflict", "another deployment of the same name came later and took its place"}

// awaitRoute waits until an app's host leads to a deployment.
func (g *Gateway) awaitRoute(ctx context.Context, name string, record sandbox.Record) error {
	poll := time.NewTicker(g.PollEvery)
	defer poll.Stop()
	for {
		app, err := g.Runner.Apps.App(ctx, name)
		switch {
		case err == nil && app.Endpoint == record.Endpoint:
			return nil
		case err != nil && !errors.Is(err, deployment.ErrNotFound) && ctx.Err() == nil:
			return err
		}
		now, err := g.Records.Load(ctx, record.ID)
		switch {
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil && ended(now):
			return errReplaced
		case err == nil:
			record = now // of another generation, maybe
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
		}
	}
}
