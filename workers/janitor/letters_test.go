package janitor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlletter"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/workers/janitor"
	"vibesdk-gcp/workers/workertest"
)

// letterBox keeps real letters, by a clock that says t0.
func letterBox(t *testing.T) *events.LetterBox {
	t.Helper()
	s := workertest.NewSessions(t, "", nil, session.Options{})
	box, err := events.NewLetterBox(sqlletter.New(s.DB), s.Bus, events.LetterOptions{
		Now: func() time.Time { return t0 }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func file(t *testing.T, box *events.LetterBox, sub events.Subscription, ages ...time.Duration) {
	t.Helper()
	for i, age := range ages {
		if err := box.File(t.Context(), events.DeadLetter{
			Message:      events.Message{ID: fmt.Sprint(sub.Name, "/", i), Type: sub.Topic.Type, Source: "test", Time: t0, Data: []byte(`{"kind":"DUE_JOBS"}`)},
			Subscription: sub.Name, Topic: sub.Topic.Name, Reason: "why", ParkedAt: t0.Add(-age),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeadLettersRaiseTheAlarm(t *testing.T) {
	t.Parallel()
	box := letterBox(t)
	var log bytes.Buffer
	j := janitor.New(janitor.Options{
		Letters: box, LetterAge: time.Hour, LetterCount: 3, Now: func() time.Time { return t0 }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	alarms := func(dry bool) []string {
		t.Helper()
		log.Reset()
		if err := j.Handle(t.Context(), tick("DEAD_LETTERS", dry)); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "level=ERROR") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	if got := alarms(false); len(got) > 0 {
		t.Errorf("without dead letters: %q", got)
	}
	file(t, box, events.Janitor, time.Hour)
	file(t, box, events.SandboxRunner, time.Minute, time.Minute, time.Minute)
	if got := alarms(false); len(got) > 0 {
		t.Errorf("at the threshold: %q", got)
	}
	file(t, box, events.Janitor, time.Hour, time.Hour+time.Second)
	file(t, box, events.SandboxRunner, 0, 0, 0, 0)
	for _, dry := range []bool{true, false} { // it is raised at each tick
		got := strings.Join(alarms(dry), "")
		for _, want := range []string{
			"subscription=janitor topic=cleanup-ticks count=2 oldest_age=1h0m1s look_with=\"vibectl dlq list --subscription janitor\"",
			"subscription=sandboxrunner topic=sandbox-requests count=4 oldest_age=1m0s",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("the log lacks %s:\n%s", want, got)
			}
		}
	}
	// Whoever sets one aside has seen it.
	page, _, err := box.Letters(t.Context(), events.LetterQuery{Subscription: "janitor"})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range page {
		if _, err := box.Park(t.Context(), l.ID, "seen"); err != nil {
			t.Fatal(err)
		}
	}
	if got := alarms(false); len(got) != 1 {
		t.Errorf("after parking: %q", got)
	}
}

func TestOldReplayedLettersAreForgotten(t *testing.T) {
	t.Parallel()
	box := letterBox(t)
	j := janitor.New(janitor.Options{Letters: box, Now: func() time.Time { return t0 }, Logger: slog.New(slog.DiscardHandler)})
	const month = 31 * 24 * time.Hour
	file(t, box, events.Janitor, month+time.Second, month)
	totals, err := box.Replay(t.Context(), events.LetterReplay{}, func(events.LetterResult) error { return nil })
	if err != nil || totals.Replayed != 2 {
		t.Fatalf("replayed %+v, %v", totals, err)
	}
	file(t, box, events.SandboxRunner, 2*month) // waits as long as it takes
	left := func() int {
		t.Helper()
		page, _, err := box.Letters(t.Context(), events.LetterQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return len(page)
	}
	if err := j.Handle(t.Context(), tick("DEAD_LETTERS", true)); err != nil || left() != 3 {
		t.Errorf("a dry run removed letters: %v", err)
	}
	if err := j.Handle(t.Context(), tick("DEAD_LETTERS", false)); err != nil || left() != 2 {
		t.Errorf("%d letters are left (%v), want the open one and the younger", left(), err)
	}
}

// TestTheAlarmFailsAlone: what cannot be counted is still forgotten, and the other way round.
func TestTheAlarmFailsAlone(t *testing.T) {
	t.Parallel()
	broken := &brokenLetters{}
	j := janitor.New(janitor.Options{Letters: broken, Now: func() time.Time { return t0 }, Logger: slog.New(slog.DiscardHandler)})
	err := j.Handle(t.Context(), tick("DEAD_LETTERS", false))
	if !errors.Is(err, errCursed) || events.IsPermanent(err) || broken.purged != 1 {
		t.Errorf("got %v after %d purges", err, broken.purged)
	}
}

type brokenLetters struct{ purged int }

func (b *brokenLetters) Watch(context.Context) ([]events.LetterCount, error) { return nil, errCursed }

func (b *brokenLetters) Purge(context.Context, events.LetterQuery) (int, error) {
	b.purged++
	return 0, errCursed
}
