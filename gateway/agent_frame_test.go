package gateway

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"vibesdk-gcp/platform/session"
)

// FuzzAgentFrame: whatever a client sends, it is a frame exactly when a decoder of another make finds its fields, and what is
// answered is JSON.
func FuzzAgentFrame(f *testing.F) {
	for _, text := range []string{
		`{"type":"rpc","id":"1","method":"m","args":[1,"x",{}]}`, `{"type":"cf_agent_state","state":null}`, `{"type":"cf_agent_state"}`,
		`{"Type":"rpc"}`, `[]`, ``, `{"type":"rpc","id":"\ud800","method":"","args":[]}`, `{"type":"rpc","type":1}`, "\x00", `{"state":1,"state":2,"type":"cf_agent_state"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := readAgentFrame(text)
		var members map[string]json.RawMessage
		var kind, id, method string
		if json.Unmarshal(text, &members) != nil || members == nil {
			if ok {
				t.Fatalf("%q is no object, and a frame", text)
			}
			return
		}
		str := func(name string, into *string) bool {
			value := members[name]
			return len(value) > 0 && value[0] == '"' && json.Unmarshal(value, into) == nil
		}
		want := str("type", &kind)
		switch kind {
		case frameState:
			want = want && members["state"] != nil
		case frameRPC:
			args := members["args"]
			want = want && str("id", &id) && str("method", &method) && len(args) > 0 && args[0] == '['
		default:
			want = false
		}
		// Text that is not UTF-8 or nests deeply is refused before.
		if ok && !want || !ok && want && json.Valid(text) && len(text) < session.MaxDepth && utf8.Valid(text) {
			t.Fatalf("%q is a frame: %t, want %t", text, ok, want)
		}
		if !ok {
			return
		}
		for _, out := range [][]byte{resultFrame(got.ID, got.State), failureFrame(got.ID, got.Method), stateFrame([]byte("null"))} {
			if !json.Valid(out) {
				t.Fatalf("%q is answered by %q", text, out)
			}
		}
	})
}

// FuzzAgentArguments: whatever a call has for arguments, what is taken of them can be published, and an error says which method's.
func FuzzAgentArguments(f *testing.F) {
	for _, args := range []string{
		`[60,"cb",{"a":1},{"retry":{"maxAttempts":3},"idempotent":true}]`, `["2026-01-31T12:00:00.000Z","cb"]`, `["* * * * *","cb"]`, `[null]`, `[1e400]`,
		`[{"id":"x","type":"cron","timeRange":{"start":"2026-01-31T12:00:00Z","end":"2027-01-31T12:00:00Z"}}]`, `[{"timeRange":[]},{},{},{"id":5}]`,
		`[0,1,2,{"retry":{"maxAttempts":0}}]`, `["\ud800"]`, `[]`,
	} {
		f.Add([]byte(args))
	}
	f.Fuzz(func(t *testing.T, args []byte) {
		call, ok := readAgentFrame(wrap(`{"type":"rpc","id":"1","method":"schedule","args":`, args, `}`))
		if !ok {
			return
		}
		for i := range 4 {
			o, err := call.options(i)
			if _, ours := err.(*agentError); err != nil && !ours { //nolint:errorlint // what the client is told
				t.Errorf("%q: %v", args, err)
			}
			if err == nil && o.Retry.MaxAttempts < 0 {
				t.Errorf("%q: %d attempts", args, o.Retry.MaxAttempts)
			}
		}
		_, criteriaErr := call.criteria()
		_, textErr := call.text(0, "id")
		when, whenErr := call.when()
		for _, err := range []error{criteriaErr, textErr, whenErr} {
			if err != nil && agentErrorText(err) == "" {
				t.Errorf("%q: an error without a text", args)
			}
		}
		if whenErr != nil {
			return
		}
		if when.DelaySeconds == nil && when.At.IsZero() && when.Cron == "" && string(call.arg(0)) != `""` {
			t.Errorf("%q is taken for no time", args)
		}
		when.Payload = call.arg(2)
		if _, err := json.Marshal(when); err != nil {
			t.Errorf("%q cannot be published: %v", args, err)
		}
	})
}
