package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas/gen"
)

const (
	// instancePrefix begins the request ids of instances, which tells them from other sandboxes.
	instancePrefix = "instance-"
	// maxInstance bounds the body of a call that makes an instance or writes its files, in bytes.
	maxInstance = sandbox.ControlBatchLimit
	// shownTail is how much of a log's end goes into an error, in bytes.
	shownTail = 4 << 10
	// stopWithin bounds the try to stop an instance that nobody waits for any more.
	stopWithin = 5 * time.Second
)

// instanceRequest is the body that makes an instance: older callers name a template, newer ones send the files.
// The webhook's address is not read: errors of the app are asked for, never sent.
type instanceRequest struct {
	TemplateName string            `json:"templateName,omitempty"`
	Files        []instanceFile    `json:"files,omitempty"`
	ProjectName  string            `json:"projectName,omitempty"`
	EnvVars      map[string]string `json:"envVars,omitempty"`
	InitCommand  string            `json:"initCommand,omitempty"`
}

type instanceFile struct {
	FilePath     string `json:"filePath"`
	FileContents string `json:"fileContents"`
}

// Instance answers a call that made one.
type Instance struct {
	Outcome

	RunID      string `json:"runId"`
	PreviewURL string `json:"previewURL"`
	ProcessID  string `json:"processId"`
}

// createInstance runs a sandbox and waits for it. Whatever keeps it from being ready in time, also that the caller has
// left, ends it: nobody would ever shut it down.
func (g *Gateway) createInstance(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeoutCause(r.Context(), g.Runner.Wait, errWaited)
	defer cancel()
	var asked instanceRequest
	if err := readInstanceBody(w, r, &asked); err != nil {
		return err
	}
	record, err := g.makeInstance(ctx, asked)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, Instance{
		Outcome: Outcome{Success: true, Message: "the instance is ready"},
		RunID:   record.ID, PreviewURL: g.PreviewURL(record.ID, record.Token), ProcessID: record.Ref().String(),
	})
	return nil
}

// makeInstance runs a sandbox and returns its record once it is ready. ctx ends with errWaited as its cause when the time is over.
func (g *Gateway) makeInstance(ctx context.Context, asked instanceRequest) (sandbox.Record, error) {
	req, err := g.runRequest(ctx, asked)
	if err != nil {
		return sandbox.Record{}, err
	}
	if err := g.publishRequest(ctx, req); err != nil {
		return sandbox.Record{}, err
	}
	id := sandbox.IDFor(req.GetRequestId())
	record, err := g.awaitInstance(ctx, id)
	if err != nil {
		g.abandon(ctx, id)
	}
	switch {
	case errors.Is(err, errWaited):
		return record, &httpError{http.StatusGatewayTimeout, "timeout", fmt.Sprintf("the instance was not ready within %s and was stopped (state %s)", g.Runner.Wait, record.State)}
	case err != nil:
		return record, err
	case record.State != sandbox.Ready:
		return record, &httpError{http.StatusUnprocessableEntity, "failed", failure(record)}
	}
	return record, nil
}

var errWaited = errors.New("waited long enough")

// awaitInstance returns the record once it is ready or ended. With an error, which is the cause of ctx's end or the store's,
// it returns what was seen last.
func (g *Gateway) awaitInstance(ctx context.Context, id string) (sandbox.Record, error) {
	poll := time.NewTicker(g.PollEvery)
	defer poll.Stop()
	var seen sandbox.Record
	for {
		record, err := g.Records.Load(ctx, id)
		switch {
		case err == nil && (record.State == sandbox.Ready || ended(record)):
			return record, nil
		case err == nil:
			seen = record
		case ctx.Err() == nil && !errors.Is(err, sandbox.ErrNotFound): // else it is not accepted yet
			return seen, err
		}
		select {
		case <-ctx.Done():
			return seen, context.Cause(ctx)
		case <-g.draining:
			return seen, &httpError{http.StatusServiceUnavailable, "unavailable", "the server is stopping"}
		case <-poll.C:
		}
	}
}

// abandon stops an instance that its caller will never know of.
func (g *Gateway) abandon(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := g.stopInstance(ctx, id); err != nil {
		g.log.WarnContext(ctx, "an abandoned instance was not stopped; its time to live ends it", "sandbox", id, "error", err)
	}
}

func (g *Gateway) stopInstance(ctx context.Context, id string) error {
	unique, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("request id: %w", err)
	}
	return g.publishRequest(ctx, &gen.SandboxRequest{
		RequestId: "stop-" + unique.String(), SandboxId: id, Action: gen.SandboxRequest_STOP, StopReason: gen.SandboxRequest_USER,
	})
}

func failure(r sandbox.Record) string {
	text := "Failed to setup instance: " + afterlife(r)
	if r.LogTail == "" {
		return text
	}
	return text + "\n" + strings.ToValidUTF8(r.LogTail[max(0, len(r.LogTail)-shownTail):], "")
}

// runRequest is the message that makes the instance.
func (g *Gateway) runRequest(ctx context.Context, asked instanceRequest) (*gen.SandboxRequest, error) {
	unique, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("request id: %w", err)
	}
	source, err := g.instanceSource(ctx, asked)
	if err != nil {
		return nil, err
	}
	env := map[string]string{"VITE_LOGGER_TYPE": "json"} // errors in the log are found by their form
	for name, value := range asked.EnvVars {
		env[name] = value
	}
	return &gen.SandboxRequest{
		RequestId: instancePrefix + unique.String(), Action: gen.SandboxRequest_RUN, ProjectName: asked.ProjectName, Source: source,
		InstallCommand: nameTemplate(asked) + installCommand(asked.EnvVars), DevCommand: devCommand(asked.InitCommand), Env: env,
	}, nil
}

// bunScript is a command that npm can run as well.
var bunScript = regexp.MustCompile(`^bun run ([A-Za-z0-9:_-]+)((?: [A-Za-z0-9:_./=-]+)*)$`)

// devCommand is the command that starts the development server, with npm in place of Bun where there is no Bun.
func devCommand(asked string) string {
	if asked = strings.TrimSpace(asked); asked == "" {
		asked = "bun run dev"
	}
	script := bunScript.FindStringSubmatch(asked)
	if script == nil {
		return asked
	}
	npm := "npm run " + script[1]
	if script[2] != "" {
		npm += " --" + script[2]
	}
	return withBun("exec "+asked, "exec "+npm)
}

// withBun is a shell command that is one of two, by whether there is Bun.
func withBun(bun, other string) string {
	return "if command -v bun >/dev/null 2>&1; then " + bun + "; else " + other + "; fi"
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// installCommand prepares a project as VibeSDK expects it: packages installed, a Git repository to commit to, and for
// projects with a Worker the variables in the file that its tools read. Values are taken from the environment, so that
// they are in no command and in no log.
func installCommand(env map[string]string) string {
	var b strings.Builder
	b.WriteString("if command -v git >/dev/null 2>&1 && [ ! -e .git ]; then git init -q -b main && printf 'node_modules\\n.dev.vars\\n' >> .git/info/exclude; fi\n")
	names := map[string][]string{}
	for _, name := range sortedKeys(env) {
		if quote := dotenvQuote(env[name]); quote != "" && variable.MatchString(name) {
			names[quote] = append(names[quote], name)
		}
	}
	if len(names) > 0 {
		b.WriteString("if ls wrangler.* >/dev/null 2>&1 && [ ! -e .dev.vars ]; then\n")
		for _, quote := range sortedKeys(names) {
			fmt.Fprintf(&b, "for name in %s; do eval \"value=\\$$name\"; printf \"%%s=%s%%s%s\\n\" \"$name\" \"$value\"; done >> .dev.vars\n", strings.Join(names[quote], " "), quote, quote)
		}
		b.WriteString("fi\n")
	}
	b.WriteString("if [ -f package.json ]; then " + withBun("bun install", "npm install --no-audit --no-fund --no-progress") + "; fi")
	return b.String()
}
