package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas/gen"
)

// page connects as VibeSDK's page does: by cookie, from the gateway's own origin or one that may.
func (v *vibe) page(t testing.TB, user, agent, query string) socket {
	t.Helper()
	return v.dial(t, "/api/agent/"+agent+"/ws"+query, dialing("Cookie", "accessToken="+tokenFor(user), "Origin", "https://app.example.com"))
}

func ownedBy(user, more string) string {
	return `{"metadata":{"agentId":"mine","userId":"` + user + `"}` + more + `}`
}

// introduced reads what a client of VibeSDK is told first.
func (s socket) introduced(t testing.TB, agent, name, stored string) {
	t.Helper()
	s.want(t, identity(agent, name, false), state(stored), emptyMCP, connected(stored))
}

// TestVibeSDKFrames: typed frames come at the beginning alone; each change after it is nested, to everybody, its sender too, while
// clients at /agents/… of the same session get the standard ones.
func TestVibeSDKFrames(t *testing.T) {
	t.Parallel()
	v := startVibe(t)
	first := ` {"metadata":{"userId":"u1","agentId":"mine"}, "n":1.0, "big":1e400}`
	v.own(t, "mine", first)
	a, b := v.page(t, "u1", "mine", "?_pk=a"), v.dial(t, "/api/agent/mine/ws?_pk=b", dialing("Authorization", bearer(tokenFor("u1"))))
	standard, twin := v.dial(t, "/agents/code-generator-agent/mine?_pk=s"), v.dial(t, "/agents/code-generator-agent/mine?_pk=a")
	a.want(t, identity("code-generator-agent", "mine", false))
	if got, want := a.next(t), `{"type":"cf_agent_state","state":`+first+`}`; got != want {
		t.Errorf("state frame %s, want %s", got, want)
	}
	a.want(t, emptyMCP)
	if got, want := a.next(t), `{"type":"agent_connected","state":`+first+`,"previewUrl":""}`; got != want {
		t.Errorf("greeting %s, want %s", got, want)
	}
	for range 4 {
		b.next(t)
	}
	for _, s := range []socket{standard, twin} {
		s.want(t, identity("code-generator-agent", "mine", true))
		s.next(t)
		s.want(t, emptyMCP)
	}

	// Somebody who is no client of this gateway.
	second := ownedBy("u1", `,"n":2.0`)
	v.put(t, "mine", gen.StateMutation_PUT, "", second)
	for _, s := range []socket{a, b} {
		if got, want := s.next(t), nested(t, state(second), ""); got != want {
			t.Errorf("a change is shown as %s, want %s", got, want)
		}
	}
	standard.want(t, state(second))
	twin.want(t, state(second))
	// A client of VibeSDK: its connection's id is in the frame, and it gets the frame itself.
	third := ownedBy("u1", `,"n":3`)
	a.send(t, state(third))
	a.want(t, nested(t, state(third), "a"))
	b.want(t, nested(t, state(third), "a"))
	standard.want(t, state(third)) // and its namesake at the other door does not
	// A client of the standard encoding, and a call of one.
	fourth := ownedBy("u1", `,"n":4`)
	standard.send(t, state(fourth))
	a.want(t, nested(t, state(fourth), "s"))
	b.want(t, nested(t, state(fourth), "s"))
	twin.want(t, state(fourth))
	fifth := ownedBy("u1", `,"n":5`)
	standard.send(t, call("1", "setState", "["+fifth+"]"))
	standard.want(t, state(fifth), result("1", ""))
	a.want(t, nested(t, state(fifth), ""))
	// MCP servers are broadcast like states.
	v.put(t, "mine", gen.StateMutation_PUT, session.PartMCPServers, `{"s":{"name":"files","server_url":"https://m/"}}`)
	mcp := `{"type":"cf_agent_mcp_servers","mcp":{"servers":{"s":{"name":"files","server_url":"https://m/","auth_url":null,"state":"not-connected","error":null,"instructions":null,"capabilities":null}},"tools":[],"prompts":[],"resources":[]}}`
	a.want(t, nested(t, mcp, ""))
	b.want(t, nested(t, state(fifth), ""), nested(t, mcp, ""))
	standard.want(t, mcp)

	v.put(t, "mine", gen.StateMutation_DESTROY, "", "")
	if e := a.closed(t); e.Code != websocket.StatusGoingAway {
		t.Errorf("after its end: closed %d", e.Code)
	}
}

// TestVibeSDKMessages: what clients of VibeSDK send and what they are told, without an agent host.
func TestVibeSDKMessages(t *testing.T) {
	t.Parallel()
	v := startVibe(t)
	mine := ownedBy("u1", "")
	v.own(t, "mine", mine)
	message := func(id, role, call, content string) string {
		return fmt.Sprintf(`{"role":%q,"content":%q,"conversationId":%q,"tool_call_id":%q}`, role, content, id, call)
	}
	v.put(t, "mine", gen.StateMutation_PUT, session.PartFullConversations, "["+strings.Join([]string{
		message("1", "user", "", "hi"), message("1", "user", "", "again"), message("1", "tool", "x", "one"), message("1", "tool", "y", "two"),
	}, ",")+"]")
	for r, err := range v.store.Watch(t.Context(), "mine", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Version == 2 {
			break
		}
	}
	s := v.page(t, "u1", "mine", "?_pk=a")
	s.introduced(t, "code-generator-agent", "mine", mine)
	history := "[" + message("1", "user", "", "hi") + "," + message("1", "tool", "x", "one") + "," + message("1", "tool", "y", "two") + "]"
	for _, step := range []struct{ send, want string }{
		{`{"type":"get_conversation_state"}`, `{"type":"conversation_state","state":{"id":"default","runningHistory":` + history + `,"fullHistory":` + history + `}}`},
		{`{"type":"session_init","credentials":{"key":"k"}}`, ""},
		{`{"type":"vault_unlocked"}`, ""},
		{`{"type":"vault_locked"}`, ""},
		{`{"type":"generate_all"}`, vibeError("generate_all needs an agent host, and this server has none: set AGENT_HOST_URL")},
		{`{"type":"user_suggestion","message":"x"}`, vibeError("user_suggestion needs an agent host, and this server has none: set AGENT_HOST_URL")},
		{`{"type":"nonsense"}`, vibeError("Unknown message type: nonsense")},
		{`{"type":5}`, vibeError("Unknown message type: 5")},
		{`{}`, vibeError("Unknown message type: undefined")},
		{`[]`, vibeError("Unknown message type: undefined")},
		{`7`, vibeError("Unknown message type: undefined")},
		{`{"type":"cf_agent_state"}`, vibeError("Unknown message type: cf_agent_state")},
		{`null`, vibeError("Error processing message: it is not a JSON object")},
		{`{`, vibeError("Error processing message: it is not a JSON object")},
		{``, vibeError("Error processing message: it is not a JSON object")},
		{`{"type":"` + strings.Repeat("ä", 100) + `"}`, vibeError("Unknown message type: " + strings.Repeat("ä", 50))},
		{call("1", "setState", `[{}]`), failure("1", "Method setState is not callable")},
		{call("2", "getFullState", `[]`), failure("2", "Method getFullState is not callable")},
		{call("3", "nope", `[]`), failure("3", "Method nope does not exist")},
		// A client cannot give the session away, nor make it nobody's.
		{state(ownedBy("u2", "")), vibeError("Error setting state: the state must keep its owner")},
		{state(`null`), vibeError("Error setting state: the state must keep its owner")},
		{state(`{"metadata":{"userId":"u2","userId":"u1"},"metadata":{"userId":"u2"}}`), vibeError("Error setting state: the state must keep its owner")},
		{state(`{"metadata":{"userId":"u1"},"x":"` + strings.Repeat("x", session.MaxPart) + `"}`), vibeError("Error setting state: State update rejected")},
	} {
		s.send(t, step.send)
		if step.want != "" {
			s.want(t, step.want)
		}
	}
	if r, err := v.store.Get(t.Context(), "mine"); err != nil || r.Version != 2 {
		t.Errorf("version %d after what was refused, %v", r.Version, err)
	}
}

// TestVibeSDKSessionsThatCannotBeJoined: an error frame and a code, as VibeSDK closes.
func TestVibeSDKSessionsThatCannotBeJoined(t *testing.T) {
	t.Parallel()
	v := startVibe(t, func(o *gateway.Options) { o.Agents.MaxSessionSockets = 1 })
	v.own(t, "mine", ownedBy("u1", ""))
	v.page(t, "u1", "mine", "").introduced(t, "code-generator-agent", "mine", ownedBy("u1", ""))
	if e := v.page(t, "u1", "mine", "").closed(t); e.Code != websocket.StatusTryAgainLater {
		t.Errorf("one too many: closed %d %s", e.Code, e.Reason)
	}
	v.gateway.Drain()
	if e := v.page(t, "u1", "mine", "").closed(t); e.Code != websocket.StatusServiceRestart {
		t.Errorf("a server that stops: closed %d %s", e.Code, e.Reason)
	}
}

// browser follows what VibeSDK's page does with the frames about generation.
type browser struct {
	// october is the page of October 2025, which begins the generation again at a typed cf_agent_state; that of August 2026 does it at
	// agent_connected.
	october bool
	// generating is the page's own memory of it, which the newer page looks at before.
	generating bool
}

// sends is what the page sends when it gets a frame.
func (p *browser) sends(t testing.TB, frame string) []string {
	t.Helper()
	var f struct {
		Type  string
		State struct {
			ShouldBeGenerating bool
			GeneratedFilesMap  map[string]any
		}
	}
	if err := json.Unmarshal([]byte(frame), &f); err != nil {
		t.Fatalf("the page cannot read %q: %v", frame, err)
	}
	var out []string
	switch f.Type {
	case "agent_connected":
		if len(f.State.GeneratedFilesMap) > 0 {
			out = append(out, "preview")
		}
		if !p.october && f.State.ShouldBeGenerating && !p.generating {
			p.generating = true
			out = append(out, "generate_all")
		}
	case "cf_agent_state":
		if p.october && f.State.ShouldBeGenerating {
			out = append(out, "generate_all")
		}
	}
	return out
}

// generations lets a page connect to an agent that should be generating, and plays the agent: at generate_all it sets its state
// before it looks whether it is generating already. It returns how often the page began the generation, up to a limit, until the agent
// has changed its state enough times for a loop to be seen.
func (v *vibe) generations(t testing.TB, p *browser, agent, path string) int {
	t.Helper()
	const limit = 10
	stored := func(n int) string {
		return fmt.Sprintf(`{"metadata":{"userId":"u1","agentId":"x"},"shouldBeGenerating":true,"generatedFilesMap":{"a":1},"n":%d}`, n)
	}
	v.own(t, agent, stored(0))
	s := v.dial(t, path, dialing("Authorization", bearer(tokenFor("u1"))))
	begun, changes := 0, 0
	change := func() { changes++; v.put(t, agent, gen.StateMutation_PUT, "", stored(changes)) }
	for {
		frame := s.next(t)
		for _, kind := range p.sends(t, frame) {
			if kind == "generate_all" {
				begun++
				change()
			}
		}
		var last struct {
			Type  string
			State struct{ N *int }
		}
		if err := json.Unmarshal([]byte(frame), &last); err != nil {
			t.Fatal(err)
		}
		if last.Type != "cf_agent_state" {
			_ = json.Unmarshal([]byte(last.Type), &last) // a nested one, if it is
		}
		switch shown := last.State.N != nil && *last.State.N == changes; {
		case begun >= limit || changes >= limit && shown:
			return begun
		case shown && changes > 0 && last.Type == "cf_agent_state":
			change() // the generation goes on and its state with it
		}
	}
}

// TestVibeSDKPagesDoNotLoop: the page of either version begins a generation again once, when it connects. The same page with the
// standard encoding never ends, which is what that encoding must not be used for.
func TestVibeSDKPagesDoNotLoop(t *testing.T) {
	t.Parallel()
	v := startVibe(t)
	for name, october := range map[string]bool{"october": true, "august": false} {
		if begun := v.generations(t, &browser{october: october}, name, "/api/agent/"+name+"/ws"); begun != 1 {
			t.Errorf("the page of %s began the generation %d times, want 1", name, begun)
		}
	}
	if begun := v.generations(t, &browser{october: true}, "control", "/agents/code-generator-agent/control"); begun < 10 {
		t.Errorf("with typed states the page of October began the generation %d times: this test would see no loop", begun)
	}
}

// TestVibeSDKAcrossGateways: a ticket of one, a connection to the other, and changes that both see.
func TestVibeSDKAcrossGateways(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	one, two := startVibeOn(t, database, sqlLimits(database)), startVibeOn(t, database, sqlLimits(database))
	mine := ownedBy("u1", "")
	one.own(t, "mine", mine)
	a := one.page(t, "u1", "mine", "?_pk=a")
	b := two.dial(t, "/api/agent/mine/ws?_pk=b&ticket="+one.ticket(t, "u1", "mine"))
	for _, s := range []socket{a, b} {
		s.introduced(t, "code-generator-agent", "mine", mine)
	}
	for n := range 5 {
		next := ownedBy("u1", fmt.Sprintf(`,"n":%d`, n))
		a.send(t, state(next))
		a.want(t, nested(t, state(next), "a"))
		b.want(t, nested(t, state(next), "")) // who sent it is known to its gateway alone
	}
}

// TestVibeSDKMainAgent: the agent's name is the one configured.
func TestVibeSDKMainAgent(t *testing.T) {
	t.Parallel()
	v := startVibe(t, func(o *gateway.Options) { o.Agents.Main = "smart-agent" })
	v.own(t, "mine", ownedBy("u1", ""))
	v.page(t, "u1", "mine", "").introduced(t, "smart-agent", "mine", ownedBy("u1", ""))
}
