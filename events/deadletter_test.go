package events

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDeadLetterRoundTrip(t *testing.T) {
	t.Parallel()
	want := DeadLetter{
		Message: Message{
			ID: "id", Type: "t", Source: "s", Time: time.Unix(1, 0).UTC(), Key: "k", Data: []byte("d"),
			Attributes: map[string]string{"mine": "1"},
		},
		Topic: "topic", Subscription: "sub", Reason: "why", Attempts: 20, Permanent: true,
		ParkedAt: time.Unix(2, 3000).UTC(), Stack: "main.f (f.go:1)",
	}
	encoded := want.Encode()
	if encoded.Key != "" || encoded.ID != "id" || encoded.Type != "t" {
		t.Errorf("encoded as %+v", encoded)
	}
	got, err := ParseDeadLetter(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(want.Message.Attributes) != 1 {
		t.Errorf("the message's attributes were changed: %v", want.Message.Attributes)
	}

	// Parked again after a replay: nothing of the first time stays.
	want.Stack, want.Message.Attributes = "", encoded.Attributes
	if again := want.Encode(); again.Attributes[deadStack] != "" {
		t.Errorf("the stack of the first time stayed: %v", again.Attributes)
	}
}

func TestParseDeadLetterRefuses(t *testing.T) {
	t.Parallel()
	good := DeadLetter{Topic: "t", Message: Message{ID: "id"}}.Encode()
	for _, name := range []string{deadTopic, deadAttempts, deadPermanent, deadTime} {
		m := good.Clone()
		delete(m.Attributes, name)
		if _, err := ParseDeadLetter(m); !errors.Is(err, ErrInvalid) {
			t.Errorf("without %s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	long := "operation: " + strings.Repeat("日本", 600) + ": root cause"
	for limit := 40; limit < 60; limit++ {
		got := cut(long, limit)
		if len(got) > limit || !utf8.ValidString(got) || !strings.HasPrefix(got, "operation") || !strings.HasSuffix(got, "cause") {
			t.Errorf("limit %d: got %q (%d bytes)", limit, got, len(got))
		}
	}
	if got := cut("short", 5); got != "short" {
		t.Errorf("got %q, want short", got)
	}
}
