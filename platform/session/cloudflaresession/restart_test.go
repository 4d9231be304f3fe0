package cloudflaresession_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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

// TestIndexCatchesUp lets the index fail, restarts everything, and expects that lists show what was committed, without
// anybody touching the sessions.
func TestIndexCatchesUp(t *testing.T) {
	t.Parallel()
	bridge := testenv.BridgeWith(t, testenv.WorkerSpec{
		Entry: "infra/cloudflare/bridge/test/index_fault.ts", Vars: map[string]string{"FAULT": ""},
	})
	d := open(t, bridge)
	ctx := t.Context()
	if _, err := d.Commit(ctx, record("removed", 1, "1")); err != nil {
		t.Fatal(err)
	}
	bridge.Restart(t, map[string]string{"FAULT": "1"})

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
	listed := func() string {
		heads, err := d.List(ctx, session.Query{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]string, len(heads))
		for i, h := range heads {
			ids[i] = h.ID
		}
		return strings.Join(ids, " ")
	}
	if got := listed(); got != "removed" {
		t.Errorf("the index that failed lists %q", got)
	}
	bridge.Restart(t, map[string]string{"FAULT": ""})
	eventually(t, "the index lists what is stored", func() bool { return listed() == "made stored" })
}

// TestRestartsLoseNothing kills the bridge while sessions are written and watched.
func TestRestartsLoseNothing(t *testing.T) {
	t.Parallel()
	bridge := testenv.Workerd(t)
	d := open(t, bridge)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	const writers, each = 4, 30
	watched := make(chan int64, 1000)
	watching := make(chan error, 1)
	go func() {
		watching <- d.Watch(ctx, "s", nil, func(r *session.Record) error {
			watched <- r.Version
			return nil
		})
	}()
	var group sync.WaitGroup
	for w := range writers {
		s := session.NewStore(open(t, bridge), session.Options{})
		group.Go(func() {
			for n := range each {
				m := session.Mutation{ID: fmt.Sprintf("%d/%d", w, n), Kind: session.Append, Part: session.PartFullConversations, Payload: []byte(fmt.Sprintf(`"%d/%d"`, w, n))}
				o, err := s.Apply(ctx, "s", []session.Mutation{m})
				if err != nil || o[0].Err != nil {
					t.Errorf("mutation %s: %+v, %v", m.ID, o, err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	restarts := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case v := <-watched: // not by the clock: each restart comes while commits come
			if restarts < 5 && v > int64(15*(restarts+1)) {
				bridge.Restart(t, nil)
				restarts++
			}
		}
	}
	if restarts == 0 {
		t.Error("nothing was restarted: the test tested nothing")
	}
	r, err := d.Load(ctx, "s", nil)
	if err != nil {
		t.Fatal(err)
	}
	body := string(r.Parts[session.PartFullConversations].Data)
	for w := range writers {
		at := -1
		for n := range each {
			line := fmt.Sprintf(`"%d/%d"`, w, n)
			if strings.Count(body, line) != 1 || strings.Index(body, line) < at {
				t.Errorf("%s is there %d times, or out of order", line, strings.Count(body, line))
			}
			at = strings.Index(body, line)
		}
	}
	// The watch outlived them all, and sees what comes last.
	s := session.NewStore(d, session.Options{})
	if _, err := s.Apply(ctx, "s", []session.Mutation{{ID: "last", Kind: session.Put, Payload: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	for v := int64(0); v <= writers*each; {
		select {
		case v = <-watched:
		case err := <-watching:
			t.Fatalf("the watch ended: %v", err)
		}
	}
	eventually(t, "the index has the last commit", func() bool {
		heads, err := d.List(ctx, session.Query{Limit: 2})
		return err == nil && len(heads) == 1 && heads[0].Version == writers*each+1
	})
	cancel()
	if err := <-watching; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestWatchEndsWhenItIsRefused(t *testing.T) {
	t.Parallel()
	bridge := testenv.Workerd(t)
	client, err := cfclient.New(cfclient.Options{URL: bridge.URL, Key: strings.Repeat("x", 32)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	err = cloudflaresession.New(client).Watch(t.Context(), "s", nil, func(*session.Record) error { return nil })
	if cfclient.Code(err) != "unauthorized" {
		t.Errorf("watch with a wrong key: %v", err)
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
