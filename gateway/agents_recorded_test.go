package gateway_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/schemas/gen"
)

const (
	recordedFrames = "../../shared/conformance/agents/frames.jsonl"

	application   = "is about what an application's own agent does: its methods, hooks or messages"
	durableObject = "is about the runtime of Durable Objects"
	elsewhere     = "is in a test of its own: "
)

// replayed are the recordings that are played again. Calls of the application's methods in them are left out with their
// answers, and so are the messages that its hooks sent.
var replayed = []string{
	"connect.fresh-with-initialState", "connect.no-initialState", "connect.default-name", "connect.pk-used-as-connection-id", "connect.pk-empty",
	"state.client-set-broadcast", "state.same-value-still-broadcasts", "rpc.malformed", "rpc.errors",
	"invalid.frames-reach-onMessage", "invalid.default-onMessage-is-silent", "close.by-client",
}

// notReplayed says of each other recording why not.
var notReplayed = map[string]string{
	"connect.sendIdentityOnConnect-false":              application,
	"connect.upper-snake-binding":                      "here an agent has one name, not one of the binding and one of the class",
	"connect.noproto-suppressed":                       application,
	"connect.onConnect-user-message-order":             application,
	"connect.onConnect-throws-default-onError":         application,
	"connect.onConnect-throws-onError-swallows":        application,
	"connect.onConnect-closes-4001":                    application,
	"connect.onStart-throws":                           application,
	"connect.client-generated-url":                     "is about the client alone",
	"connect.basePath":                                 application,
	"connect.denied-by-onBeforeConnect":                application,
	"connect.subprotocol-offered":                      "what clients are told is the same: no subprotocol, in the default of the library",
	"throws.onMessage-and-state-hook-default-onError":  application,
	"state.server-set-via-rpc":                         application,
	"state.validator-rejects":                          application,
	"state.too-big":                                    elsewhere + "TestAgentState; the limit here is 10 MiB",
	"state.set-then-throw-not-rolled-back":             application,
	"state.size-limit-bisect":                          durableObject,
	"rpc.ok":                                           application,
	"rpc.streaming":                                    application,
	"rpc.client-timeout-late-response":                 application,
	"rpc.getCallableMethods":                           application,
	"gates.sync-handlers-never-lose-updates":           application,
	"gates.timer-await-is-not-gated":                   durableObject,
	"gates.storage-await-is-gated":                     durableObject,
	"gates.blockConcurrencyWhile":                      durableObject,
	"gates.slow-onStart-delays-everything":             application,
	"gates.response-order-on-one-socket":               application,
	"subagent.websocket-and-http":                      "sub-agents are refused: TestAgentAddresses",
	"transport.capnweb-upgrade":                        "the transport is refused: TestAgentAddresses",
	"invalid.user-broadcast-not-filtered":              application,
	"readonly.connection":                              application,
	"close.by-server":                                  application,
	"close.AgentClient-terminal-1008":                  elsewhere + "TestUnmodifiedClientsThatAreRefused",
	"close.AgentClient-terminal-4xxx":                  "no such code is sent",
	"close.AgentClient-transient-1012-reconnects":      elsewhere + "TestUnmodifiedClientsReconnect",
	"close.AgentClient-denied-retries":                 "no upgrade is denied but to pages of other origins",
	"http.routes":                                      elsewhere + "TestAgentAddresses",
	"http.agentFetch":                                  elsewhere + "TestUnmodifiedClients",
	"tables.dump-after-first-use":                      durableObject,
	"schedule.kinds-and-rows":                          elsewhere + "TestAgentCalls",
	"schedule.execution":                               application,
	"schedule.overlap-slow-interval":                   application,
	"schedule.alarm-drain-is-sequential":               application,
	"queue.fifo":                                       application,
	"queue.peek-find-dequeue":                          elsewhere + "TestAgentCalls",
	"keepAlive.probe":                                  durableObject,
	"destroy.by-rpc":                                   elsewhere + "TestDestroyedAgents",
	"mcp.add-unreachable-broadcast":                    elsewhere + "TestAgentConnect",
	"connstate.attachments":                            application,
	"hibernate.wake-keeps-socket-and-connection-state": durableObject,
	"restart.state-schedule-survive":                   elsewhere + "TestUnmodifiedClientsReconnect",
}

// recordedEvent is a line of the recording.
type recordedEvent struct {
	Scenario, Conn, Dir, URL, Text, Base64, Reason string
	Code                                           *int
	Binary                                         bool
	JSON                                           struct {
		Type, ID, Method string
		StateFollows     bool
	}
}

func readRecordings(t *testing.T) map[string][]recordedEvent {
	t.Helper()
	file, err := os.Open(recordedFrames)
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("REQUIRE_BACKENDS") != "1" {
		t.Skipf("the recorded frames are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scenarios := map[string][]recordedEvent{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var head struct{ Scenario string }
		if err := json.Unmarshal(lines.Bytes(), &head); err != nil {
			t.Fatal(err)
		}
		var e recordedEvent
		// Frames that are no objects do not fit the field; their text is what counts.
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e.JSON.Type = ""
		}
		e.Scenario = head.Scenario
		if e.Scenario != "_meta" {
			scenarios[e.Scenario] = append(scenarios[e.Scenario], e)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return scenarios
}

// TestRecordedFrames plays what a real client and a real agent said to each other, in order, and compares each frame.
func TestRecordedFrames(t *testing.T) {
	t.Parallel()
	scenarios := readRecordings(t)
	l := startLive(t)
	known := map[string]bool{}
	for _, name := range replayed {
		known[name] = true
		if len(scenarios[name]) == 0 {
			t.Errorf("%s is not recorded", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l.replay(t, scenarios[name])
		})
	}
	for name := range notReplayed {
		if known[name] || scenarios[name] == nil {
			t.Errorf("%s is in both tables, or not recorded", name)
		}
		known[name] = true
	}
	for name := range scenarios {
		if !known[name] {
			t.Errorf("%s is recorded and in no table", name)
		}
	}
}

// answeredHere are the errors of calls that name no method of the application.
func (e recordedEvent) answeredHere() bool { return strings.Contains(e.Text, " does not exist") }

func (l *live) replay(t *testing.T, recorded []recordedEvent) {
	t.Helper()
	answered := map[string]bool{} // ids of calls that are answered here
	follows := false
	for _, e := range recorded {
		follows = follows || e.Dir == "s2c" && e.JSON.StateFollows
		if e.Dir == "s2c" && e.JSON.Type == "rpc" && e.answeredHere() {
			answered[e.JSON.ID] = true
		}
	}
	conns := map[string]socket{}
	seen := 0
	for _, e := range recorded {
		s := conns[e.Conn]
		switch e.Dir {
		case "connect":
			if follows && len(conns) == 0 {
				address, _, _ := strings.Cut(strings.TrimPrefix(e.URL, "/agents/"), "?")
				l.put(t, address, gen.StateMutation_PUT, "", `{"counter":0}`)
				for range l.store.Watch(t.Context(), address, 0) {
					break // it is stored
				}
			}
			conns[e.Conn] = l.dial(t, e.URL)
		case "c2s":
			if e.JSON.Type == "rpc" && e.JSON.Method != "" && e.JSON.ID != "" && !answered[e.JSON.ID] {
				continue
			}
			kind, data := websocket.MessageText, []byte(e.Text)
			if e.Binary {
				kind = websocket.MessageBinary
				data, _ = base64.StdEncoding.DecodeString(e.Base64)
			}
			if err := s.Write(t.Context(), kind, data); err != nil {
				t.Fatal(err)
			}
		case "s2c":
			if strings.HasPrefix(e.JSON.Type, "lab_") || e.JSON.Type == "rpc" && !answered[e.JSON.ID] {
				continue
			}
			s.want(t, e.Text)
			seen++
		case "c2s-close":
			code := websocket.StatusNormalClosure
			if e.Code != nil {
				code = websocket.StatusCode(*e.Code)
			}
			if err := s.Close(code, e.Reason); err != nil {
				t.Errorf("close %d is not answered: %v", code, err)
			}
		}
	}
	if seen < 2 {
		t.Errorf("only %d frames were compared", seen)
	}
}
