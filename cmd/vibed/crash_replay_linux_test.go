package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/crashpoint"
)

// isOfReplays reports whether a crash point is on the way of a dead letter back to its topic.
func isOfReplays(point string) bool { return strings.HasPrefix(point, "events/") }

// TestReplayKilledAtEveryStep kills vibed with SIGKILL between the publication of replayed letters and the note of it. Restarted and
// asked again, it must come to the same end: each mutation applied once, in their order, and no letter open.
func TestReplayKilledAtEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("builds vibed and restarts it")
	}
	t.Parallel()
	vibed := program(t, "crashpoint")
	points := slices.DeleteFunc(crashpoint.Names(), func(point string) bool { return !isOfReplays(point) })
	if len(points) < 1 {
		t.Fatal("no crash point of replays is linked in")
	}
	for _, point := range points {
		for n := range 3 { // batches
			n++
			t.Run(fmt.Sprintf("%s:%d", point, n), func(t *testing.T) {
				t.Parallel()
				replayKilledAt(t, vibed, fmt.Sprintf("%s:%d", point, n))
			})
		}
	}
}

func replayKilledAt(t *testing.T, vibed, point string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := newPlatform(t, vibed, point)
	p.start(ctx)
	letters := p.api.DeadLetters()
	p.try(ctx, func() error {
		_, err := p.api.Sessions().Put(ctx, "s", "state", []byte(`{"list":[]}`), client.WriteOptions{MutationID: "first"})
		return err
	})

	// Mutations whose key is not their session are parked at once; corrected, they are fine.
	const count = 8
	var want []string
	payload := func(n int, session string) []byte {
		return fmt.Appendf(nil, `{"mutationId":"m%d","sessionId":%q,"kind":"APPEND","path":"/list","payload":"%d"}`, n, session, n)
	}
	for n := range count {
		want = append(want, fmt.Sprint(n))
		m := client.Message{Data: payload(n, "other"), OrderingKey: "s", Attributes: map[string]string{"ce-id": fmt.Sprint("e", n)}}
		if _, err := p.api.Publish(ctx, "state-mutations", m); err != nil {
			t.Fatal(err)
		}
	}
	open := client.DeadLetterQuery{States: []client.LetterState{client.LetterOpen}}
	list := func() (all []client.DeadLetter, err error) {
		for l, err := range letters.List(ctx, open) {
			if err != nil {
				return nil, err
			}
			all = append(all, l)
		}
		return all, nil
	}
	p.try(ctx, func() error {
		all, err := list()
		if err == nil && len(all) != count {
			err = fmt.Errorf("%d letters are filed, want %d", len(all), count)
		}
		return err
	})
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	for n, l := range all {
		if l.MessageID != fmt.Sprint("e", n) {
			t.Fatalf("letter %d is of message %s", n, l.MessageID)
		}
		if _, err := letters.Edit(ctx, l.ID, client.DeadLetterEdit{Payload: payload(n, "s")}); err != nil {
			t.Fatal(err)
		}
	}

	p.try(ctx, func() error {
		sum, err := letters.Replay(ctx, client.DeadLetterReplay{DeadLetterQuery: open, Rate: 20}, func(client.ReplayResult) error { return nil })
		if err == nil && (!sum.Done || sum.Refused > 0) {
			err = fmt.Errorf("replayed %+v", sum)
		}
		return err
	})
	if !p.killed {
		t.Errorf("nothing passed the crash point %s", point)
	}
	p.try(ctx, func() error {
		part, err := p.api.Sessions().Read(ctx, "s", "state")
		if got := `{"list":[` + strings.Join(want, ",") + `]}`; err == nil && string(part.Data) != got {
			err = fmt.Errorf("the state is %s, want %s", part.Data, got)
		}
		return err
	})
	applied := 0
	p.try(ctx, func() error {
		applied = 0
		history, err := p.api.Sessions().History(ctx, "s", 100)
		for _, e := range history {
			if e.Code == "applied" {
				applied++
			}
		}
		return err
	})
	if applied != count+1 {
		t.Errorf("%d mutations were applied, want %d", applied, count+1)
	}
	left, err := list()
	if diff := cmp.Diff([]client.DeadLetter(nil), left); err != nil || diff != "" {
		t.Errorf("letters are open (%v):\n%s", err, diff)
	}
	p.end()
}
