package app_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

// greeting is what the app of the scenario answers, wherever it runs.
const greeting = "hello from the app\n"

// stage is a provider with everything behind it, as RUNTIME_PROVIDER picks it.
type stage struct {
	*world

	config app.Config
	// place is where the app of the scenario runs.
	place client.Place
}

// stages starts the three providers on real back ends, each with homes of its own.
func stages(t *testing.T) map[string]*stage {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(greeting)) }))
	t.Cleanup(site.Close)
	const greeter = "infra/cloudflare/bridge/test/greeter.ts"
	bridge := testenv.BridgeWith(t, testenv.WorkerSpec{Dispatch: map[string]string{"greeter": greeter}})
	key := filepath.Join(t.TempDir(), "bridge.key")
	if err := os.WriteFile(key, []byte(bridge.Key), 0o600); err != nil {
		t.Fatal(err)
	}
	pubsub, pubsubProject := testenv.PubSub(t)
	firestore, firestoreProject := testenv.Firestore(t)
	process := client.Place{Target: "process", Endpoint: strings.TrimPrefix(site.URL, "http://")}
	all := map[string]*stage{}
	for name, s := range map[string]struct {
		place client.Place
		env   map[string]string
	}{
		"local": {process, nil},
		"gcp": {process, map[string]string{
			"DATABASE_URL": testenv.Postgres(t), "PUBSUB_PREFIX": "g-", "FIRESTORE_PROJECT": firestoreProject, "FIRESTORE_EMULATOR_HOST": firestore,
			"REDIS_URL": testenv.NewRedisServer(t).URL(),
		}},
		"cloudflare": {client.Place{Target: "cloudflare", Endpoint: "greeter"}, map[string]string{
			"DATABASE_URL": testenv.Postgres(t), "PUBSUB_PREFIX": "c-",
		}},
	} {
		env := map[string]string{
			"RUNTIME_PROVIDER": name, "SANDBOX_BACKEND": "process", "LISTEN": "127.0.0.1:0", "DATA_DIR": t.TempDir(), "SANDBOXD": testenv.Program(t, "sandboxd", ""),
			"LIMIT_TIMEOUT": patient.String(), "BRIDGE_URL": bridge.URL, "BRIDGE_KEY_FILE": key, "PATH": os.Getenv("PATH"),
		}
		if name != "local" {
			env["SOURCES_URL"], env["PUBSUB_PROJECT"], env["PUBSUB_EMULATOR_HOST"] = "file://"+t.TempDir(), pubsubProject, pubsub
		}
		for variable, value := range s.env {
			env[variable] = value
		}
		_, c := envFile(t, env)
		all[name] = &stage{world: start(t, c), config: c, place: s.place}
	}
	return all
}

// script is the scenario, in acts. What it notes must be the same everywhere.
type script struct {
	t     *testing.T
	name  string // of its session, its user and its app
	notes []string

	state   int64 // the version that the last act left
	created client.MutationResult
}

func (s *script) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// noteWrite notes how a write ended.
func (s *script) noteWrite(what string, out client.MutationResult, err error) {
	kind := "none"
	for _, e := range []error{client.ErrVersion, client.ErrConflict, client.ErrNotFound, client.ErrRejected} {
		if errors.Is(err, e) {
			kind = e.Error()
			break
		}
	}
	if err != nil && kind == "none" {
		s.t.Fatalf("%s: %v", what, err)
	}
	s.note("%s: %s at version %d, error %s", what, out.Code, out.Version, kind)
}

// begin is the first act: a session, a burst of charges, an app.
func (s *script) begin(ctx context.Context, at *stage) {
	sessions, o := at.client.Sessions(), client.WriteOptions{}
	var err error
	s.created, err = sessions.Initialize(ctx, s.name, []byte(`{ "n" : 1.0 }`), client.WriteOptions{MutationID: "init-" + s.name})
	s.noteWrite("initialize", s.created, err)
	out, err := sessions.Merge(ctx, s.name, client.PartState, []byte(`{"text":"ünï"}`), client.WriteOptions{MutationID: "merge-" + s.name, IfVersion: &s.created.Version})
	s.noteWrite("merge", out, err)
	out, err = sessions.Put(ctx, s.name, client.PartState, []byte(`0`), client.WriteOptions{IfVersion: &s.created.Version})
	s.noteWrite("put at an old version", out, err)
	out, err = sessions.Initialize(ctx, s.name, []byte(`{}`), o)
	s.noteWrite("initialize again", out, err)
	s.repeat(ctx, at)
	for i := range 8 {
		s.charge(ctx, at, fmt.Sprintf("charge %d", i), 1)
	}
	stored, err := at.client.Deployments().Put(ctx, client.Deployment{Name: s.name, Place: at.place, Visibility: "public"}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.note("deployed at version %d", stored.Version)
	s.look(ctx, at)
}

// goOn is every later act: all that the first one left is there, and goes on.
func (s *script) goOn(ctx context.Context, at *stage, act int) {
	s.look(ctx, at)
	s.repeat(ctx, at)
	stale := s.state - 1
	out, err := at.client.Sessions().Put(ctx, s.name, client.PartState, []byte(`0`), client.WriteOptions{IfVersion: &stale})
	s.noteWrite("put at an old version", out, err)
	out, err = at.client.Sessions().Merge(ctx, s.name, client.PartState, fmt.Appendf(nil, `{"act":%d}`, act), client.WriteOptions{IfVersion: &s.state})
	s.noteWrite("merge", out, err)
	s.charge(ctx, at, "one charge more", 1)
	deployed, err := at.client.Deployments().Change(ctx, s.name, func(d *client.Deployment) error { d.Owner = fmt.Sprint("owner ", act); return nil })
	if err != nil {
		s.t.Fatal(err)
	}
	s.note("deployed at version %d", deployed.Version)
	s.look(ctx, at)
}

// repeat sends mutations of the first act again.
func (s *script) repeat(ctx context.Context, at *stage) {
	again, err := at.client.Sessions().Initialize(ctx, s.name, []byte(`{ "n" : 1.0 }`), client.WriteOptions{MutationID: "init-" + s.name})
	if !again.At.Equal(s.created.At) {
		s.t.Errorf("%s: the duplicate was decided at %s, the first at %s", s.name, again.At, s.created.At)
	}
	s.noteWrite("initialize, the same", again, err)
	out, err := at.client.Sessions().Outcome(ctx, s.name, "merge-"+s.name)
	s.noteWrite("outcome of the merge", out, err)
}

func (s *script) charge(ctx context.Context, at *stage, what string, n float64) {
	charge := client.LimitCharge{Limit: "appCreation", Identifier: "user:" + s.name, N: n, Config: &client.LimitConfig{Limit: 100, Period: 86400, Burst: 5, BurstWindow: pointer(43200.0)}}
	got, err := at.client.Limits().Increment(ctx, charge)
	if err != nil && !errors.Is(err, client.ErrLimited) {
		s.t.Fatalf("%s: %v", what, err)
	}
	s.note("%s: %t, %g left, exceeds %q", what, got.Success, got.RemainingLimit, got.ExceededLimit)
	call := client.LimitCharge{Limit: "llmCalls", Identifier: "user:" + s.name, N: 1.2, Config: &client.LimitConfig{Limit: 50, Period: 86400}}
	if got, err = at.client.Limits().Increment(ctx, call); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	s.note("%s: %t, %.9f left", what, got.Success, got.RemainingLimit)
}

// look reads all there is.
func (s *script) look(ctx context.Context, at *stage) {
	got, err := at.client.Sessions().Read(ctx, s.name, client.PartState)
	if err != nil {
		s.t.Fatal(err)
	}
	s.state = got.Version
	s.note("state %s at version %d", got.Data, got.Version)
	history, err := at.client.Sessions().History(ctx, s.name, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range history {
		s.note("history: %s at version %d", e.Code, e.Version)
	}
	left, err := at.client.Limits().Remaining(ctx, client.LimitCharge{Limit: "llmCalls", Identifier: "user:" + s.name, Config: &client.LimitConfig{Limit: 50, Period: 86400}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.note("%.9f left", left.RemainingLimit)
	changes, err := at.client.Deployments().History(ctx, s.name, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range changes {
		s.note("deployment %d owned by %q", c.Version, c.App.Owner)
	}
	status, header, body := at.get(s.t, "http://"+s.name+".localhost", "/")
	s.note("the app: %d %s %q", status, header.Get("X-Preview-Type"), body)
}

func pointer[T any](v T) *T { return &v }

// TestVerificationProviderToggle plays one scenario on each provider, on real back ends: Durable Objects in workerd through the bridge;
// Firestore, Pub/Sub, Redis and Postgres; SQLite. The answers are the same everywhere, and they are the same when it moves to another
// provider between its acts: no version, outcome, count or route is lost.
func TestVerificationProviderToggle(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts every back end")
	}
	all := stages(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	tour := []string{"cloudflare", "gcp", "local", "cloudflare"}
	newScript := func(name string) *script {
		return &script{t: t, name: strings.ToLower(name + "-" + rand.Text()[:8])}
	}
	// hide replaces what is a script's own.
	hide := func(s *script) []string {
		notes := slices.Clone(s.notes)
		for i := range notes {
			notes[i] = strings.ReplaceAll(notes[i], s.name, "<name>")
		}
		return notes
	}

	var want []string
	for _, name := range []string{"local", "gcp", "cloudflare"} {
		s := newScript("stays")
		s.begin(ctx, all[name])
		for act := 1; act < len(tour); act++ {
			s.goOn(ctx, all[name], act)
		}
		if want == nil {
			want = hide(s)
			t.Logf("the answers on %s:\n%s", name, strings.Join(want, "\n"))
			continue
		}
		if diff := cmp.Diff(want, hide(s)); diff != "" {
			t.Errorf("the answers on %s are not those on local (-want +got):\n%s", name, diff)
		}
	}
	for _, line := range []string{
		"merge: applied at version 2, error none",
		`charge 4: true, 95 left, exceeds ""`, `charge 5: false, 0 left, exceeds "burst"`,
		fmt.Sprintf(`the app: 200 dispatcher %q`, greeting),
	} {
		if !slices.Contains(want, line) {
			t.Errorf("the scenario does not have %q", line)
		}
	}

	moves := newScript("moves")
	keys := filepath.Join(t.TempDir(), "identifiers")
	if err := os.WriteFile(keys, []byte("user:"+moves.name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	moves.begin(ctx, all[tour[0]])
	for act, name := range tour[1:] {
		from := tour[act]
		o := app.MigrateOptions{From: all[from].config, To: all[name].config, Verify: true}
		if from == "cloudflare" { // Durable Objects cannot be listed
			o.KeysFile = keys
		}
		r := migrate(t, o)
		if !r.Clean() || r.Sessions.Copied == 0 || r.Sessions.Compared == 0 || r.Limits.Copied == 0 || r.Limits.Compared == 0 ||
			r.Deployments.Copied == 0 || r.Deployments.Compared == 0 {
			t.Errorf("from %s to %s: %+v, %+v, %+v", from, name, r.Sessions, r.Limits, r.Deployments)
		}
		moves.goOn(ctx, all[name], act+1)
	}
	if diff := cmp.Diff(want, hide(moves)); diff != "" {
		t.Errorf("the answers on the way %s are not those of staying (-want +got):\n%s", strings.Join(tour, " → "), diff)
	}
}
