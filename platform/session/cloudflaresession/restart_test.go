package cloudflaresession_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
)

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
