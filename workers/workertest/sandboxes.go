package workertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/processsandbox"
	"vibesdk-gcp/platform/sandbox/sqlsandbox"
	"vibesdk-gcp/schemas"
)

// Sandboxes is the platform that workers on sandboxes need, for real: records and routes in a SQLite file of its own, and
// sandboxd as child processes.
type Sandboxes struct {
	DB      *sqldb.DB
	Records *sandbox.Records
	Routes  *deployment.Table
	// Runtime is another one after Restart.
	Runtime *sandbox.Runtime

	fx     *Effects
	dir    string
	driver *processsandbox.Driver
	builds string
}

// NewSandboxes returns an empty platform that tells fx, if it is not nil, of every effect. It ends with t. The package's
// TestMain must end with [testenv.Main].
func NewSandboxes(t *testing.T, fx *Effects) *Sandboxes {
	t.Helper()
	s := &Sandboxes{fx: fx, dir: t.TempDir(), builds: filepath.Join(t.TempDir(), "builds")}
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	s.DB = db
	s.Records = sandbox.NewRecords(records{sqlsandbox.New(db), fx})
	s.Routes = deployment.NewTable(routes{sqldeployment.New(db), fx}, deployment.Options{})
	t.Cleanup(func() { _ = s.Routes.Close() })
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	return s
}

// Restart ends every process of every sandbox, as the end of the platform's own process does, and takes over what is
// left.
func (s *Sandboxes) Restart(t *testing.T) {
	t.Helper()
	s.stop(t)
	s.start(t)
}

func (s *Sandboxes) start(t *testing.T) {
	t.Helper()
	var err error
	s.driver, err = processsandbox.New(t.Context(), processsandbox.Options{
		Dir: s.dir, Sandboxd: testenv.Program(t, "sandboxd", ""), Builds: 4, BaseEnv: map[string]string{"PATH": "/usr/bin:/bin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Runtime = sandbox.NewRuntime(runtime{s.driver, s.fx}, sandbox.RuntimeOptions{})
}

func (s *Sandboxes) stop(t *testing.T) {
	t.Helper()
	if err := s.driver.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("close the runtime: %v", err)
	}
}

// CountBuild is a shell command for a project's build that leaves a trace for [Sandboxes.Builds].
func (s *Sandboxes) CountBuild() string { return "echo built >> '" + s.builds + "'" }

// Trace is the file in which builds are counted, one line each.
func (s *Sandboxes) Trace() string { return s.builds }

// Builds is how many builds ran [Sandboxes.CountBuild].
func (s *Sandboxes) Builds(t *testing.T) int {
	t.Helper()
	trace, err := os.ReadFile(s.builds)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(trace), "\n")
}

// SandboxState is what is so about one sandbox, without what differs from run to run.
type SandboxState struct {
	RequestID string
	State     sandbox.State
	Fence     int64
	Reason    string
	Routed    bool
	// Resources are the fences of the generations of which something is there.
	Resources []int64
}

// State lists all sandboxes by request id, those of which only resources or routes are left included.
func (s *Sandboxes) State(ctx context.Context) ([]SandboxState, error) {
	states := map[string]*SandboxState{}
	list, err := s.Records.List(ctx, sandbox.Query{Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		states[r.ID] = &SandboxState{RequestID: r.RequestID, State: r.State, Fence: r.Fence, Reason: r.Reason}
	}
	refs, err := s.driver.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		if states[ref.ID] == nil {
			states[ref.ID] = &SandboxState{RequestID: "none: " + ref.ID}
		}
		states[ref.ID].Resources = append(states[ref.ID].Resources, ref.Fence)
	}
	var all []SandboxState
	for id, state := range states {
		route, err := s.Routes.Preview(ctx, id)
		if err != nil && !errors.Is(err, deployment.ErrNotFound) {
			return nil, fmt.Errorf("route of %s: %w", id, err)
		}
		state.Routed = err == nil && route.Fence == state.Fence
		all = append(all, *state)
	}
	slices.SortFunc(all, func(a, b SandboxState) int { return cmp.Compare(a.RequestID, b.RequestID) })
	return all, nil
}
