package faults_test

import (
	"context"
	"errors"
	"testing"

	"vibesdk-gcp/cmd/internal/faults"
	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
)

func dice(t *testing.T, text string) *faults.Dice {
	t.Helper()
	d, err := faults.ParseDice(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDiceAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "0.1", "0.1:", ":1", "-0.1:1", "1.1:1", "NaN:1", "0.1:x", "0.1:-1"} {
		if _, err := faults.ParseDice(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// broker counts what reaches it.
type broker struct {
	events.Driver

	published int
	verdicts  [][]events.Verdict
}

func (b *broker) Publish(context.Context, events.Topic, []events.Message) error {
	b.published++
	return nil
}

func (b *broker) Receive(_ context.Context, _ events.Subscription, handle events.HandleFunc) error {
	b.verdicts = append(b.verdicts, handle(make([]events.Message, 1)))
	return nil
}

const calls = 10_000

func TestBusFailsAsOftenAsTheDiceSay(t *testing.T) {
	t.Parallel()
	for ratio, want := range map[string]struct{ least, most int }{"0:1": {0, 0}, "0.1:1": {800, 1200}, "1:1": {calls, calls}} {
		b := &broker{}
		driver := faults.Bus(b, dice(t, ratio))
		failed, doubled, silent := 0, 0, 0
		for range calls {
			before := b.published
			err := driver.Publish(t.Context(), events.Topic{}, nil)
			switch arrived := b.published - before; {
			case err != nil && arrived == 0:
				failed++
			case err != nil && arrived == 1:
				silent++
			case err == nil && arrived == 2:
				doubled++
			case err != nil || arrived != 1:
				t.Fatalf("arrived %d times with %v", arrived, err)
			}
		}
		if n := failed + doubled + silent; n < want.least || n > want.most {
			t.Errorf("%s: %d of %d publications went wrong", ratio, n, calls)
		}
		if ratio != "0:1" && (failed == 0 || doubled < failed || silent == 0) {
			t.Errorf("%s: %d failed, %d arrived twice, %d arrived and failed", ratio, failed, doubled, silent)
		}
		lost := 0
		for range calls {
			err := driver.Receive(t.Context(), events.Subscription{}, func(run []events.Message) []events.Verdict {
				return make([]events.Verdict, len(run))
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(b.verdicts[len(b.verdicts)-1]) == 0 {
				lost++
			}
		}
		if lost < want.least || lost > want.most {
			t.Errorf("%s: %d of %d acknowledgements were lost", ratio, lost, calls)
		}
	}
}

func TestTheSameSeedIsTheSameFaults(t *testing.T) {
	t.Parallel()
	outcomes := func(text string) (all []bool) {
		driver := faults.Bus(&broker{}, dice(t, text))
		for range 200 {
			all = append(all, driver.Publish(t.Context(), events.Topic{}, nil) == nil)
		}
		return all
	}
	same, other := 0, 0
	first, again, another := outcomes("0.5:7"), outcomes("0.5:7"), outcomes("0.5:8")
	for i := range first {
		if first[i] == again[i] {
			same++
		}
		if first[i] == another[i] {
			other++
		}
	}
	if same != len(first) || other == len(first) {
		t.Errorf("%d of %d are the same under the same seed, %d under another", same, len(first), other)
	}
}

// store counts what is written.
type store struct {
	session.Driver

	written int
}

var errConflict = errors.New("another was faster")

func (s *store) Commit(_ context.Context, next *session.Record) (*session.Record, error) {
	if next.ID == "conflict" {
		return nil, errConflict
	}
	s.written++
	return next, nil
}

func TestCommitsFailBeforeAndAfter(t *testing.T) {
	t.Parallel()
	s := &store{}
	driver := faults.Sessions(s, dice(t, "0.2:1"))
	before, after := 0, 0
	for range calls {
		was := s.written
		record, err := driver.Commit(t.Context(), &session.Record{})
		switch {
		case err != nil && s.written == was:
			before++
		case err != nil:
			after++
		case record == nil || s.written != was+1:
			t.Fatal("written, but not once")
		}
	}
	if n := before + after; n < 1800 || n > 2200 || before == 0 || after == 0 {
		t.Errorf("of %d commits %d failed before and %d after they were written", calls, before, after)
	}
	for range 100 { // what the store says itself is passed on
		conflict := &session.Record{}
		conflict.ID = "conflict"
		if _, err := driver.Commit(t.Context(), conflict); err == nil {
			t.Fatal("a conflict is a success")
		}
	}
	if _, ok := driver.(session.Cleaner); ok {
		t.Error("it cleans, and what is behind does not")
	}
}
