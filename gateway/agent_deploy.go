package gateway

import (
	"context"
	"encoding/json"
	"errors"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas/gen"
)

// AgentPreview answers deployToSandbox.
type AgentPreview struct {
	RunID      string `json:"runId"`
	PreviewURL string `json:"previewURL"`
}

// deployable is what a state says about a project, as VibeSDK keeps it.
type deployable struct {
	ProjectName  string                  `json:"projectName"`
	TemplateName string                  `json:"templateName"`
	Instance     string                  `json:"sandboxInstanceId"`
	Files        map[string]instanceFile `json:"generatedFilesMap"`
}

// callDeploy runs the files of the session in a sandbox: deployToSandbox() answers a preview once it is ready, or null when there is
// nothing to run. Callers at the same time share one deployment, which goes on when they leave.
func (c *agentConn) callDeploy(ctx context.Context, f agentRequest) error {
	c.begin(ctx, func(string, uint64) func(context.Context, func()) {
		record := c.s.current()
		return func(ctx context.Context, sent func()) {
			sent()
			preview, err := c.g.deploySession(ctx, c.s.id, record)
			switch {
			case ctx.Err() != nil: // nobody is there
			case err != nil:
				c.g.log.WarnContext(ctx, "session was not deployed", "session_id", c.s.id, "error", err)
				c.queue(failureFrame(f.ID, agentErrorText(err)))
			default:
				c.queue(resultFrame(f.ID, preview))
			}
		}
	})
	return nil
}

// deploySession returns the JSON of a preview of what a session holds; null is nothing to run.
func (g *Gateway) deploySession(ctx context.Context, id string, r *session.Record) ([]byte, error) {
	project, err := readDeployable(r)
	if err != nil {
		return nil, err
	}
	if len(project.Files) == 0 && (project.TemplateName == "" || g.Runner.TemplatesURL == "") {
		return []byte("null"), nil
	}
	running := g.deploys.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), g.Runner.Wait, errWaited)
		defer cancel()
		return g.deployProject(ctx, id, project)
	})
	select {
	case done := <-running:
		if done.Err != nil {
			return nil, done.Err
		}
		return encodeFrame(done.Val), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func readDeployable(r *session.Record) (d deployable, err error) {
	if r == nil {
		return d, nil
	}
	if state, ok := r.State(); ok {
		return parseDeployable(state)
	}
	return d, nil
}

func parseDeployable(state []byte) (d deployable, err error) {
	if err := json.Unmarshal(state, &d); err != nil {
		return d, agentErrorf("deployToSandbox: the state is not that of a project: %s", jsonFault(err))
	}
	for path, f := range d.Files {
		if f.FilePath == "" {
			f.FilePath = path
			d.Files[path] = f
		}
	}
	return d, nil
}

// deployProject writes the files to the session's instance, if that still runs, or else makes one and notes it in the state.
func (g *Gateway) deployProject(ctx context.Context, id string, project deployable) (AgentPreview, error) {
	files := make([]instanceFile, 0, len(project.Files))
	for _, path := range sortedKeys(project.Files) {
		files = append(files, project.Files[path])
	}
	if sandbox.ValidID(project.Instance) {
		record, err := g.Records.Load(ctx, project.Instance)
		if err == nil && record.State == sandbox.Ready {
			err = g.fill(ctx, record, files)
			if err == nil {
				return AgentPreview{record.ID, g.PreviewURL(record.ID, record.Token)}, nil
			}
			g.log.InfoContext(ctx, "instance of a session takes no files and is replaced", "session_id", id, "sandbox", record.ID, "error", err)
		} else if err != nil && !errors.Is(err, sandbox.ErrNotFound) {
			return AgentPreview{}, err
		}
	}
	asked := instanceRequest{ProjectName: project.ProjectName, Files: files}
	onTemplate := project.TemplateName != "" && g.Runner.TemplatesURL != ""
	if onTemplate {
		asked.TemplateName, asked.Files = project.TemplateName, nil
	}
	record, err := g.makeInstance(ctx, asked)
	if err != nil {
		return AgentPreview{}, err
	}
	if onTemplate {
		if err := g.fill(ctx, record, files); err != nil {
			g.abandon(ctx, record.ID)
			return AgentPreview{}, err
		}
	}
	g.noteInstance(ctx, id, record.ID)
	return AgentPreview{record.ID, g.PreviewURL(record.ID, record.Token)}, nil
}

// fill writes files to an instance. Single files that its project does not take are left as they are there.
func (g *Gateway) fill(ctx context.Context, r sandbox.Record, files []instanceFile) error {
	_, err := writeInstance(ctx, sandbox.NewControl(r.Endpoint, r.ControlToken, g.Client), files)
	return err
}

// noteInstance puts the instance into the state, where the next deployment finds it. A note that is lost costs an instance more,
// which its time to live ends.
func (g *Gateway) noteInstance(ctx context.Context, id, instance string) {
	m := &mutation{
		message: &gen.StateMutation{SessionId: id, Kind: gen.StateMutation_MERGE},
		payload: encodeFrame(map[string]string{"sandboxInstanceId": instance}),
	}
	err := m.identify("mutationId")
	if err == nil {
		err = g.send(ctx, m, true)
	}
	if err != nil {
		g.log.WarnContext(ctx, "instance was not noted in its session", "session_id", id, "sandbox", instance, "error", err)
		return
	}
	if o, ok := g.await(ctx, id, m.message.GetMutationId(), g.WaitFor); ok && o.Err == nil {
		if s := g.hub.session(id); s != nil {
			s.reach(ctx, o.Version, g.WaitFor) // the state is shown before the answer
		}
	}
}
