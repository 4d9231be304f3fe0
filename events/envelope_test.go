package events

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAttributesRoundTrip(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 30, 0, 987654000, time.UTC)
	for name, want := range map[string]Message{
		"full": {
			ID: "id", Type: "t", Source: "s", Time: at, NotBefore: at.Add(time.Hour),
			Attributes: map[string]string{"traceparent": "00-…", "empty": "", "ce-subject": "other extensions stay"},
		},
		"plain": {ID: "id", Type: "t", Source: "s", Time: at},
	} {
		got := DecodeAttributes(EncodeAttributes(want), "broker", at.Add(time.Minute))
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
	}
}

func TestEncodeAttributesIsCloudEventsBinaryMode(t *testing.T) {
	t.Parallel()
	mine := map[string]string{"mine": "1"}
	got := EncodeAttributes(Message{
		ID: "id", Type: "t", Source: "s", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), Attributes: mine,
	})
	want := map[string]string{
		"ce-specversion": "1.0", "ce-id": "id", "ce-type": "t", "ce-source": "s", "ce-time": "2026-01-02T02:04:05Z",
		"Content-Type": "application/json", "mine": "1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(mine) != 1 {
		t.Errorf("the message's attributes were changed: %v", mine)
	}
}

func TestDecodeAttributesOfForeignPublisher(t *testing.T) {
	t.Parallel()
	published := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := DecodeAttributes(map[string]string{"ce-time": "yesterday", "content-type": "text/plain", "a": "1"}, "broker", published)
	want := Message{ID: "broker", Time: published, Attributes: map[string]string{"a": "1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzDecodeAttributes(f *testing.F) {
	f.Add("ce-time", "2026-01-02T03:04:05Z", "goog-x", "1")
	f.Add("ce-id", "", "dead-letter-topic", "t")
	f.Fuzz(func(t *testing.T, name, value, name2, value2 string) {
		attrs := map[string]string{name: value, name2: value2}
		m := DecodeAttributes(attrs, "fallback", time.Unix(0, 0))
		if m.ID == "" {
			t.Errorf("no id from %q", attrs)
		}
		again := DecodeAttributes(EncodeAttributes(m), "other", time.Unix(1, 0))
		if year := m.Time.Year(); year >= 0 && year <= 9999 { // what RFC 3339 can say
			if diff := cmp.Diff(m, again); diff != "" {
				t.Errorf("decode, encode, decode (-first +second):\n%s", diff)
			}
		}
		if _, err := ParseDeadLetter(m); err == nil {
			t.Errorf("a dead letter from two attributes: %q", attrs)
		}
	})
}

func TestCheckReportsEveryFault(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for range MaxAttributes {
		many[strings.Repeat("x", len(many)+1)] = ""
	}
	good := Message{ID: "id", Type: "t", Source: "s", Time: time.Unix(1, 0), Attributes: many, Data: make([]byte, MaxData)}
	if err := check(Topic{Name: "plain"}, good); err != nil {
		t.Errorf("a message at the limits: %v", err)
	}

	bad := Message{
		ID: "a\x00b", Type: "\xff", Source: strings.Repeat("s", MaxAttributeValue+1), Time: time.Unix(1<<40, 0),
		NotBefore: time.Unix(1<<40, 0), Data: make([]byte, MaxData+1), Attributes: maps.Clone(many),
	}
	bad.Attributes["ce-ID"] = "x"
	bad.Attributes["googclient"] = "x"
	bad.Attributes["value"] = strings.Repeat("é", MaxAttributeValue)
	bad.Attributes[""] = "x"
	err := check(Topic{Name: "ordered", Ordered: true}, bad)
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, want := range []string{
		"id is not UTF-8 text without NUL", "type is not UTF-8 text without NUL", "source has 1025 bytes, the limit is 1024",
		"key is empty, topic ordered is ordered", "time is in year", "not before is in year", "attributes are 84, the limit is 80",
		`attribute "ce-ID" belongs to the envelope`, `attribute "googclient" belongs to the envelope`,
		`attribute "value" has 2048 bytes, the limit is 1024`, "attribute name is empty", "data has 9437185 bytes, the limit is 9437184",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("fault %q is missing from:\n%v", want, err)
		}
	}
	if err := check(Topic{Name: "plain"}, Message{Key: "k", Time: time.Unix(1, 0)}); err == nil {
		t.Error("a key on a topic that is not ordered was accepted")
	}
}
