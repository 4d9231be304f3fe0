package cloudflaresession_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/cloudflaresession"
)

var epoch = time.Date(2026, 7, 14, 9, 26, 53, 589_793_000, time.UTC)

func record(id string, commit int64, state string) *session.Record {
	return &session.Record{
		Head:  session.Head{ID: id, Commit: commit, Version: commit, Present: true, CreatedAt: epoch, UpdatedAt: epoch},
		Parts: map[session.PartName]session.Part{session.PartState: {Data: []byte(state)}},
	}
}

// faulty is a bridge whose index misbehaves.
func faulty(t *testing.T, fault string) *testenv.Bridge {
	t.Helper()
	return testenv.BridgeWith(t, testenv.WorkerSpec{Entry: "infra/cloudflare/bridge/test/index_fault.ts", Vars: map[string]string{"FAULT": fault}})
}

// listed are the ids of all sessions that lists show.
func listed(t *testing.T, d *cloudflaresession.Driver) string {
	t.Helper()
	heads, err := d.List(t.Context(), session.Query{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(heads))
	for i, h := range heads {
		ids[i] = h.ID
	}
	return strings.Join(ids, " ")
}

// TestIndexCatchesUp lets the index fail, restarts everything, and expects that lists show what was committed, without
// anybody touching the sessions.
func TestIndexCatchesUp(t *testing.T) {
	t.Parallel()
	bridge := faulty(t, "")
	d := open(t, bridge)
	ctx := t.Context()
	if _, err := d.Commit(ctx, record("removed", 1, "1")); err != nil {
		t.Fatal(err)
	}
	bridge.Restart(t, map[string]string{"FAULT": "down"})

	_, err := d.Commit(ctx, record("made", 1, `"here"`))
	if cfclient.Code(err) != "index_unavailable" || errors.Is(err, session.ErrConflict) {
		t.Errorf("commit without an index: %v", err)
	}
	if r, err := d.Load(ctx, "made", nil); err != nil || string(r.Parts[session.PartState].Data) != `"here"` {
		t.Errorf("a commit whose outcome was open: %+v, %v", r, err)
	}
	if err := d.Remove(ctx, "removed", 1); cfclient.Code(err) != "index_unavailable" {
		t.Errorf("remove without an index: %v", err)
	}
	if _, err := d.Load(ctx, "removed", nil); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a removed record: %v", err)
	}
	// A store asks what became of it.
	s := session.NewStore(d, session.Options{})
	if o, err := s.Apply(ctx, "stored", []session.Mutation{{ID: "m", Kind: session.Put, Payload: []byte("1")}}); err != nil || o[0].Err != nil || o[0].Version != 1 {
		t.Errorf("apply without an index: %+v, %v", o, err)
	}
	if got := listed(t, d); got != "removed" {
		t.Errorf("the index that failed lists %q", got)
	}
	bridge.Restart(t, map[string]string{"FAULT": ""})
	eventually(t, "the index lists what is stored", func() bool { return listed(t, d) == "made stored" })
}

// TestAnswersWaitForTheIndex: what a commit or a removal changed is in every list after it, however long the index takes.
func TestAnswersWaitForTheIndex(t *testing.T) {
	t.Parallel()
	d := open(t, faulty(t, "slow"))
	if _, err := d.Commit(t.Context(), record("s", 1, "1")); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, d); got != "s" {
		t.Errorf("after a commit the list shows %q", got)
	}
	if err := d.Remove(t.Context(), "s", 1); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, d); got != "" {
		t.Errorf("after a removal the list shows %q", got)
	}
}

// TestIndexIgnoresTheLate: an update that was overtaken changes nothing.
func TestIndexIgnoresTheLate(t *testing.T) {
	t.Parallel()
	d := open(t, faulty(t, "late"))
	r, err := d.Commit(t.Context(), record("s", 1, "1"))
	if err != nil {
		t.Fatal(err)
	}
	next := record("s", 2, "2")
	next.Tag = r.Tag
	if _, err := d.Commit(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, d); got != "s" {
		t.Errorf("the list shows %q", got)
	}
}

// eventually waits for what happens in another process.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("after a minute it still does not hold that %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
