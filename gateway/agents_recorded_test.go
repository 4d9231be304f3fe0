package gateway_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"
)

const (
	recordedFrames = "../../shared/conformance/agents/frames.jsonl"

	application   = "is about options or hooks of an application's own class, which an agent host has no word for: "
	durableObject = "is about the runtime of Durable Objects"
	elsewhere     = "is in a test of its own: "
)

// replayed are the recordings that are played again, with what is left out of each: ids of calls, or paths of requests, and why.
var replayed = map[string]map[string]string{
	"connect.fresh-with-initialState": nil, "connect.no-initialState": nil, "connect.default-name": nil,
	"connect.pk-used-as-connection-id": {"A-2": "what connections there are is not told", "A-3": "as before", "A-4": "as before"}, "connect.pk-empty": nil,
	"connect.noproto-suppressed": nil, "connect.onConnect-user-message-order": nil,
	"connect.onConnect-throws-default-onError": nil, "connect.onConnect-closes-4001": nil,
	"throws.onMessage-and-state-hook-default-onError": nil,
	"state.client-set-broadcast":                      {"94a16d2e-1d5d-4c6f-b49a-9a55cb395366": application + "onStateChanged"},
	"state.server-set-via-rpc":                        nil, "state.same-value-still-broadcasts": nil,
	"state.set-then-throw-not-rolled-back": nil,
	"rpc.ok":                               nil, "rpc.errors": nil, "rpc.malformed": nil, "rpc.streaming": nil, "rpc.client-timeout-late-response": nil,
	"gates.slow-onStart-delays-everything": nil,
	"invalid.frames-reach-onMessage":       nil, "invalid.default-onMessage-is-silent": nil,
	"readonly.connection": {
		"6028f7a9-31ef-4ffa-9d04-d99a718f83eb": "the host changes the connection that calls, and no other one: it may be at another gateway",
		"cf_agent_state {\"counter\":6}":       "follows from that",
	},
	"close.by-client": nil, "close.by-server": nil, "close.AgentClient-terminal-1008": nil, "close.AgentClient-terminal-4xxx": nil,
	"close.AgentClient-transient-1012-reconnects": nil,
	"http.routes": {
		"/agents/counter-agent/lab-h1?cors=1": "cross-origin rules are the gateway's own",
	},
	"http.agentFetch":       {"/user?as=lab-f1": "the server picks no instance"},
	"connstate.attachments": nil, "destroy.by-rpc": nil,
	"schedule.kinds-and-rows": {
		"A-5": durableObject, "A-6": durableObject, "A-31": durableObject,
		"A-15": "whether the host has a callback shows when it is called",
		"A-20": "runs at once, which is in the tests of the callback runner", "A-21": "as before",
	},
	"queue.peek-find-dequeue": {"A-6": "running items is in the tests of the callback runner", "A-7": "as before"},
}

// notReplayed says of each other recording why not.
var notReplayed = map[string]string{
	"connect.sendIdentityOnConnect-false":              application + "clients that get no identity are never ready",
	"connect.upper-snake-binding":                      "here an agent has one name, not one of the binding and one of the class",
	"connect.onConnect-throws-onError-swallows":        application + "onError",
	"connect.onStart-throws":                           application + "onStart; onConnect that throws is replayed",
	"connect.client-generated-url":                     "is about the client alone",
	"connect.basePath":                                 application + "the server picks no instance",
	"connect.denied-by-onBeforeConnect":                elsewhere + "TestAgentHostRefusesConnections; a refusal is a close code, for clients try again for ever after a status",
	"connect.subprotocol-offered":                      "what clients are told is the same: no subprotocol, in the default of the library",
	"state.validator-rejects":                          "no hook is between the frame of a client and the session; that a host rejects its own writes is in TestAgentHostCalls",
	"state.too-big":                                    elsewhere + "TestAgentState; the limit here is 10 MiB",
	"state.size-limit-bisect":                          durableObject,
	"rpc.getCallableMethods":                           application + "what methods there are",
	"gates.sync-handlers-never-lose-updates":           elsewhere + "TestAgentHostCallsLoseNoUpdate; states that follow each other quickly may be shown as one",
	"gates.timer-await-is-not-gated":                   durableObject,
	"gates.storage-await-is-gated":                     durableObject,
	"gates.blockConcurrencyWhile":                      durableObject,
	"gates.response-order-on-one-socket":               elsewhere + "TestAgentHostCallsInOrder; calls leave in order, and replies come when they are ready",
	"subagent.websocket-and-http":                      "sub-agents are refused: TestAgentAddresses",
	"transport.capnweb-upgrade":                        "the transport is refused: TestAgentAddresses",
	"invalid.user-broadcast-not-filtered":              "a host speaks to the connection that calls; what all are to see is state",
	"close.AgentClient-denied-retries":                 elsewhere + "TestAgentHostRefusesConnections",
	"tables.dump-after-first-use":                      durableObject,
	"schedule.execution":                               "callbacks run in the tests of the callback runner",
	"schedule.overlap-slow-interval":                   "callbacks run in the tests of the callback runner",
	"schedule.alarm-drain-is-sequential":               "callbacks run in the tests of the callback runner",
	"queue.fifo":                                       "callbacks run in the tests of the callback runner",
	"keepAlive.probe":                                  durableObject,
	"mcp.add-unreachable-broadcast":                    elsewhere + "TestAgentConnect",
	"hibernate.wake-keeps-socket-and-connection-state": durableObject,
	"restart.state-schedule-survive":                   elsewhere + "TestUnmodifiedClientsReconnect",
}

// recordedEvent is a line of the recording.
type recordedEvent struct {
	Scenario, Conn, Dir, URL, Text, Base64, Reason, From string
	Method, Path, Body                                   string
	Headers                                              map[string]string
	Status                                               int
	Init                                                 struct {
		Method, Body string
		Headers      map[string]string
	}
	Code   *int
	Binary bool
	JSON   struct {
		Type, ID, Method string
		Args             []json.RawMessage
		State            json.RawMessage
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
