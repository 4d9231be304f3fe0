package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

// lifeOfASession goes through what a session can do on one back end.
func lifeOfASession(t *testing.T, c app.Config) {
	t.Helper()
	called := make(chan string, 10)
	host := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called <- r.URL.EscapedPath() }))
	t.Cleanup(host.Close)
	c.Session.AgentHostURL = host.URL
	w := start(t, c)
	s, ctx, o := w.client.Sessions(), within(t), client.WriteOptions{}
	id := fmt.Sprintf("chat/%s %d", t.Name(), time.Now().UnixNano())
	state := "{ \"n\": 1.0, \"text\":\"" + strings.Repeat("five megabytes ", 350_000) + "\" }"
	first, err := s.Initialize(ctx, id, []byte(state), o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Read(ctx, id, client.PartState)
	if err != nil || string(got.Data) != state || got.Version != first.Version {
		t.Fatalf("%d bytes at version %d, %v; want %d at %d", len(got.Data), got.Version, err, len(state), first.Version)
	}
	if _, err := s.Put(ctx, id, client.PartState, []byte(`{"small":true}`), client.WriteOptions{IfVersion: &first.Version}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, id, client.PartState, []byte(`{}`), client.WriteOptions{IfVersion: &first.Version}); !errors.Is(err, client.ErrVersion) {
		t.Errorf("write at an old version: %v", err)
	}
	delay := 0.01
	if _, err := s.Schedule(ctx, id, client.ScheduleRequest{Callback: "remind", DelaySeconds: &delay}, o); err != nil {
		t.Fatal(err)
	}
	select {
	case path := <-called:
		if !strings.HasSuffix(path, "/remind") || !strings.HasPrefix(path, "/callbacks/chat%2F") {
			t.Errorf("called %s", path)
		}
	case <-ctx.Done():
		t.Fatal("the agent host was not called")
	}
	watched := make(chan client.SessionEvent)
	go func() {
		defer close(watched)
		for e, err := range s.Watch(ctx, id, client.WatchOptions{}) {
			if err != nil {
				return
			}
			watched <- e
			if !e.Present {
				return
			}
		}
	}()
	if e := <-watched; !e.Present || string(e.State) != `{"small":true}` {
		t.Errorf("first event %+v", e)
	}
	if _, err := s.Destroy(ctx, id, o); err != nil {
		t.Fatal(err)
	}
	var last client.SessionEvent
	for e := range watched {
		last = e
	}
	if last.Present {
		t.Errorf("last event %+v, want the end", last)
	}
	if _, err := s.Get(ctx, id); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("after the end: %v", err)
	}
}

func TestSessionsOnSQLite(t *testing.T) {
	t.Parallel()
	lifeOfASession(t, config(t))
}

func TestSessionsInADatabaseOfTheirOwn(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Session.DatabaseURL = "sqlite:" + filepath.Join(t.TempDir(), "sessions.db")
	lifeOfASession(t, c)
}

func TestSessionsOnPostgres(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Session.Backend, c.Session.DatabaseURL = "postgres", testenv.Postgres(t)
	lifeOfASession(t, c)
}

func TestSessionsOnFirestore(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Session.Backend = "firestore"
	c.Session.FirestoreEndpoint, c.Session.FirestoreProject = testenv.Firestore(t)
	lifeOfASession(t, c)
}

func TestSessionsInDurableObjects(t *testing.T) {
	t.Parallel()
	c := config(t)
	bridge := testenv.Workerd(t)
	c.Session.Backend, c.Session.BridgeURL, c.Session.BridgeKey = "cloudflare", bridge.URL, bridge.Key
	lifeOfASession(t, c)
}

// TestStateWriterInAnotherProgram writes through a gateway whose state writer has its own connection to the database.
func TestStateWriterInAnotherProgram(t *testing.T) {
	t.Parallel()
	c := config(t)
	w := start(t, c, app.RoleGateway)
	start(t, c, app.RoleStateWriter)
	s, ctx := w.client.Sessions(), within(t)
	large := `"` + strings.Repeat("x", 1<<20) + `"` // goes by reference: both have the folder
	if m, err := s.Put(ctx, "s", client.PartState, []byte(large), client.WriteOptions{}); err != nil || m.Version != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	if got, err := s.Read(ctx, "s", client.PartState); err != nil || string(got.Data) != large {
		t.Errorf("%d bytes, %v", len(got.Data), err)
	}
}
