package cfclient_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
)

func agentBridge(t *testing.T) (*testenv.Bridge, *cfclient.Client) {
	t.Helper()
	b := testenv.BridgeWith(t, testenv.WorkerSpec{
		Entry:   "infra/cloudflare/bridge/test/agents.ts",
		Objects: map[string]string{"PlainAgent": "PlainAgent", "MovedAgent": "MovedAgent", "NamedObject": "NamedObject", "HIDDEN": "PlainAgent"},
		Vars:    map[string]string{"AGENT_BINDINGS": "PlainAgent, MovedAgent,NamedObject,GONE"},
	})
	return b, bridgeClient(t, b)
}

// agent calls a verb of an agent and returns the answer's body.
func agent(t *testing.T, c *cfclient.Client, method, path, name, body string) (string, error) {
	t.Helper()
	r := cfclient.Request{Method: method, Path: "/v1/agents/" + path, Query: url.Values{"name": {name}}}
	if body != "" {
		r.Body = [][]byte{[]byte(body)}
	}
	response, err := c.Do(t.Context(), r)
	if err != nil {
		return "", err
	}
	return string(response.Body), nil
}

func wantAgent(t *testing.T, c *cfclient.Client, method, path, name, body, want string) {
	t.Helper()
	if got, err := agent(t, c, method, path, name, body); err != nil || got != want {
		t.Errorf("%s %s of %s: %s, %v; want %s", method, path, name, got, err, want)
	}
}

func TestAgentsAreReachedAsTheyAre(t *testing.T) {
	t.Parallel()
	b, c := agentBridge(t)
	const name = "a b/ü%2F"
	wantAgent(t, c, "GET", "PlainAgent/state", name, "", `{"state":{"count":0}}`)
	wantAgent(t, c, "GET", "PlainAgent/initialized", name, "", `{"initialized":false}`)
	wantAgent(t, c, "PUT", "PlainAgent/state", name, `{"count":7,"agentId":"x","unknown":[null,{"é":1.5}]}`, "")
	b.Restart(t, nil)
	wantAgent(t, c, "GET", "PlainAgent/state", name, "", `{"state":{"count":7,"agentId":"x","unknown":[null,{"é":1.5}]}}`)
	wantAgent(t, c, "GET", "PlainAgent/initialized", name, "", `{"initialized":true}`)
	wantAgent(t, c, "GET", "PlainAgent/state", "other", "", `{"state":{"count":0}}`)

	// Objects that do not know their name are told.
	wantAgent(t, c, "GET", "NamedObject/state", name, "", `{"state":{"name":"a b/ü%2F"}}`)

	for _, r := range []struct {
		what, method, path, name, body string
		status                         int
		code                           string
	}{
		{"a binding that is not listed", "GET", "HIDDEN/state", "a", "", 404, "binding_not_allowed"},
		{"a binding that is not there", "GET", "GONE/state", "a", "", 503, "not_configured"},
		{"no name", "GET", "PlainAgent/state", "", "", 400, "invalid"},
		{"no JSON", "PUT", "PlainAgent/state", "a", "{", 400, "invalid"},
		{"no such verb", "GET", "PlainAgent/other", "a", "", 404, "not_found"},
		{"no such method", "PUT", "NamedObject/state", "a", "{}", 501, "method_missing"},
		{"a class that cannot be moved", "GET", "PlainAgent/export", "a", "", 501, "method_missing"},
	} {
		_, err := agent(t, c, r.method, r.path, r.name, r.body)
		wantCode(t, r.what, err, r.status, r.code)
	}
}

func TestAgentsAnswerRequests(t *testing.T) {
	t.Parallel()
	b, c := agentBridge(t)
	const address = "https://app.example.com/agents/plain-agent/someone/x?y=1"
	response, err := forward(t, c, "PATCH", address, "/v1/agents/PlainAgent/fetch", "name=someone", strings.NewReader("body"), http.Header{"Authorization": {"Bearer own"}})
	if err != nil {
		t.Fatal(err)
	}
	body := read(t, response)
	var got told
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusAccepted || got.Name != "someone" || got.Method != http.MethodPatch || got.URL != address || got.Headers["authorization"] != "Bearer own" {
		t.Errorf("%s: the agent got %+v", response.Status, got)
	}
	if strings.Contains(body, b.Key) {
		t.Error("the key reached the agent")
	}
	echo(t, c, address, "/v1/agents/PlainAgent/fetch", url.Values{"name": {"someone"}}, "someone heard hello")
}

// TestAgentsMoveWithoutLoss exports a real agent, imports it into another one, and compares what is in both.
func TestAgentsMoveWithoutLoss(t *testing.T) {
	t.Parallel()
	b, c := agentBridge(t)
	get := func(name, path string) string {
		response, err := forward(t, c, "GET", "https://agent"+path, "/v1/agents/MovedAgent/fetch", "name="+name, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, response)
	}
	wantAgent(t, c, "PUT", "MovedAgent/state", "from", `{"count":3,"text":"\u2028 \ud83d\ude00"}`, "")
	id := get("from", "/prepare?delay=3600")
	before, err := agent(t, c, "GET", "MovedAgent/export", "from", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"cf_agents_jobs":[{"id":"` + id, `"path":"a\"b","data":{"$base64":"AP8B"},"size":3,"score":0.1`, `"cf_agents:schema_version":`,
		`"cf_agents_state":[{"id":"cf_state_row_id","state":"{\"count\":3`,
	} {
		if !strings.Contains(before, part) {
			t.Errorf("the dump lacks %s: %s", part, before)
		}
	}

	// The other one has a life of its own until then.
	wantAgent(t, c, "PUT", "MovedAgent/state", "to", `{"count":99}`, "")
	get("to", "/prepare?delay=7200")
	wantAgent(t, c, "PUT", "MovedAgent/import", "to", before, "")
	after, err := agent(t, c, "GET", "MovedAgent/export", "to", "")
	if err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("the export differs after the import:\n%s\n%s", before, after)
	}
	wantAgent(t, c, "GET", "MovedAgent/state", "to", "", "{\"state\":{\"count\":3,\"text\":\"\u2028 😀\"}}")
	// The SDK sets its alarm for the first job when it is woken.
	want := get("from", "/alarm")
	eventually(t, "the alarm is that of the first job", func() bool { return get("to", "/alarm") == want })

	// What cannot be restored changes nothing.
	for what, dump := range map[string]string{
		"no JSON":         `{"tables":`,
		"no tables":       `{"storage":{}}`,
		"an odd table":    `{"tables":{"nowhere":[{"a":1}]}}`,
		"an odd column":   `{"tables":{"cf_agents_state":[{"id":"cf_state_row_id","state":"{}","more":1}]}}`,
		"an odd value":    `{"tables":{"cf_agents_state":[{"id":"cf_state_row_id","state":{}}]}}`,
		"rows that clash": `{"tables":{"cf_agents_state":[{"id":"a","state":"{}"},{"id":"a","state":"{}"}]}}`,
	} {
		_, err := agent(t, c, "PUT", "MovedAgent/import", "to", dump)
		wantCode(t, what, err, 502, "agent_failed")
		if got, err := agent(t, c, "GET", "MovedAgent/export", "to", ""); err != nil || got != before {
			t.Errorf("%s changed something: %s, %v", what, got, err)
		}
	}
	get("from", "/big")
	_, err = agent(t, c, "GET", "MovedAgent/export", "from", "")
	wantCode(t, "an integer that would be rounded", err, 502, "agent_failed")

	// A job that is due fires where the agent is now.
	b.Restart(t, nil)
	get("due", "/prepare?delay=1")
	dump, err := agent(t, c, "GET", "MovedAgent/export", "due", "")
	if err != nil {
		t.Fatal(err)
	}
	wantAgent(t, c, "PUT", "MovedAgent/import", "heir", dump, "")
	eventually(t, "the job has fired", func() bool {
		got, err := agent(t, c, "GET", "MovedAgent/state", "heir", "")
		return err == nil && got == `{"state":{"count":1}}`
	})
}

// eventually waits for what happens in another process.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("after 30 s it still does not hold that %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
