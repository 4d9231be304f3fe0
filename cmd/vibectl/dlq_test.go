package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

// publishMisaddressed publishes mutations whose key is not their session: the state writer parks each at once.
func publishMisaddressed(t *testing.T, addr string, ids ...string) {
	t.Helper()
	c, err := client.New("http://"+strings.TrimPrefix(addr, "http://"), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		m := client.Message{
			Data:        fmt.Appendf(nil, `{"mutationId":%q,"sessionId":"wrong","kind":"APPEND","path":"/list","payload":%q}`, id, `"`+id+`"`),
			OrderingKey: "right", Attributes: map[string]string{"ce-id": "e-" + id},
		}
		if _, err := c.Publish(t.Context(), "state-mutations", m); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitLetters waits until so many letters are listed and returns them.
func awaitLetters(t *testing.T, addr string, count int, args ...string) []client.DeadLetter {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var list []client.DeadLetter
		if err := json.Unmarshal([]byte(must(t, addr, "", append([]string{"-o", "json", "dlq", "list"}, args...)...)), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) == count {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d letters, want %d: %+v", len(list), count, list)
		}
		time.Sleep(10 * time.Millisecond) // a list does not tell of what is filed
	}
}

// TestADeadLetterIsMended is an operator's way from a failure to its repair: found, looked at, edited, replayed, gone.
func TestADeadLetterIsMended(t *testing.T) {
	t.Parallel()
	addr := serveWith(t, nil, app.RoleGateway, app.RoleStateWriter, app.RoleDeadLetters)
	if out := must(t, addr, "", "dlq", "list"); out != "no dead letters\n" {
		t.Errorf("an empty list: %q", out)
	}
	must(t, addr, "", "session", "put", "right", `{"list":[]}`)
	publishMisaddressed(t, addr, "m1", "m2", "m3")
	list := awaitLetters(t, addr, 3)
	first := list[0]
	if first.MessageID != "e-m1" || first.Key != "right" || !first.Permanent || first.Attempts != 1 || first.Topic != "state-mutations" {
		t.Errorf("letter: %+v", first)
	}
	table := must(t, addr, "", "dlq", "list", "--key", "right", "--reason", "IS FOR SESSION", "--since", "1h")
	if strings.Count(table, "\n") != 4 || !strings.Contains(table, first.ID+"  open   statewriter   right") {
		t.Errorf("table:\n%s", table)
	}
	show := must(t, addr, "", "dlq", "show", first.ID)
	for _, want := range []string{`is for session "wrong"`, "1, no retry mends it", "subscription    statewriter", "message         e-m1", `"sessionId": "wrong"`} {
		if !strings.Contains(show, want) {
			t.Errorf("show lacks %q:\n%s", want, show)
		}
	}
	if out := must(t, addr, "", "dlq", "count"); !strings.Contains(strings.Join(strings.Fields(out), " "), "state-mutations statewriter open 3") {
		t.Errorf("count:\n%s", out)
	}

	// A replay as it is fails again, and the letter is open again.
	out := must(t, addr, "", "dlq", "replay", first.ID)
	if !strings.HasPrefix(out, "1 replayed") && !strings.Contains(out, "changed meanwhile") {
		t.Errorf("replay: %q", out)
	}
	awaitReplays(t, addr, first.ID, 1)

	payload := must(t, addr, "", "dlq", "show", first.ID, "--payload")
	file := filepath.Join(t.TempDir(), "payload.json")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(payload, "wrong", "right")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := vibectl(t, addr, "", "dlq", "edit", first.ID, "--data", `{"sessionId":"right"}`); !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), "data.mutationId") {
		t.Errorf("a bad edit: %v", err)
	}
	must(t, addr, "", "dlq", "edit", first.ID, "--data", "@"+file)
	must(t, addr, strings.ReplaceAll(payload, "wrong", "right"), "dlq", "edit", list[1].ID, "--data", "-")
	must(t, addr, "", "dlq", "park", list[2].ID, "--note", "nobody needs it")
	if out := must(t, addr, "", "dlq", "replay", "--all", "--dry-run", "--rate", "0"); strings.Count(out, "would-replay") != 2 || !strings.HasSuffix(out, "2 would be replayed\n") {
		t.Errorf("dry run: %q", out)
	}
	if out := must(t, addr, "", "dlq", "replay", "--all"); out != "2 replayed\n" {
		t.Errorf("replay: %q", out)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if state := must(t, addr, "", "session", "get", "right", "state"); strings.Contains(state, `["m1"]`) {
			break // m2 became m1 by the same payload: it was applied once
		} else if time.Now().After(deadline) {
			t.Fatalf("the session is %s", state)
		}
	}

	if out := must(t, addr, "", "dlq", "list"); !strings.Contains(out, "parked") || strings.Count(out, "\n") != 2 {
		t.Errorf("left:\n%s", out)
	}
	if _, err := vibectl(t, addr, "n\n", "dlq", "purge"); err == nil || !strings.Contains(err.Error(), "nothing was deleted") {
		t.Errorf("purge without a yes: %v", err)
	}
	if out := must(t, addr, "", "dlq", "purge", "--dry-run"); out != "2 would be deleted\n" {
		t.Errorf("dry purge: %q", out)
	}
	if out := must(t, addr, "y\n", "dlq", "purge"); out != "2 deleted\n" {
		t.Errorf("purge: %q", out)
	}
	must(t, addr, "", "dlq", "release", list[2].ID)
	if out := must(t, addr, "", "dlq", "purge", "--state", "open", "--yes"); out != "1 deleted\n" {
		t.Errorf("purge of open ones: %q", out)
	}
}

func awaitReplays(t *testing.T, addr, id string, replays int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var l client.DeadLetter
		if err := json.Unmarshal([]byte(must(t, addr, "", "-o", "json", "dlq", "show", id)), &l); err != nil {
			t.Fatal(err)
		}
		if l.State == client.LetterOpen && l.Replays == replays {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("letter is %s after %d replays", l.State, l.Replays)
		}
	}
}

func TestDeadLetterCommandsRefuse(t *testing.T) {
	t.Parallel()
	addr := serveWith(t, nil, app.RoleGateway)
	for want, args := range map[string][]string{
		"nothing chooses":        {"replay"},
		"neither a time like":    {"list", "--since", "yesterday"},
		"say the same":           {"list", "--until", "1h", "--older-than", "1h"},
		"not found":              {"show", "0123"},
		"0123: dead letter":      {"edit", "0123", "--data", "1"},
		`state "gone"`:           {"list", "--state", "gone"},
		"parked ones are not":    {"replay", "--all", "--state", "parked"},
		"requires at least 1 ar": {"park"},
		"--limit":                {"list", "--limit", "0"},
		"rate":                   {"replay", "--all", "--rate", "-1"},
	} {
		if out, err := vibectl(t, addr, "", append([]string{"dlq"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("dlq %q: %q, %v; want %q", args, out, err, want)
		}
	}
}
