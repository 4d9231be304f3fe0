package gateway

import (
	"bytes"
	"encoding/json"

	"vibesdk-gcp/internal/jsondoc"
	"vibesdk-gcp/platform/session"
)

// The types of frames that both sides know. All frames are JSON objects in text messages.
const (
	frameState      = "cf_agent_state"
	frameStateError = "cf_agent_state_error"
	frameIdentity   = "cf_agent_identity"
	frameMCP        = "cf_agent_mcp_servers"
	frameRPC        = "rpc"
)

// The texts of cf_agent_state_error. The second is the error of calls as well.
const (
	stateRejected = "State update rejected"
	readonlyText  = "Connection is readonly"
)

// agentRequest is a frame of a client that the protocol gives a meaning: a new state, or a call.
type agentRequest struct {
	// State is set in a state frame; null is a state.
	State []byte
	// Method is called when State is nil, with Args, each JSON text.
	ID, Method string
	Args       []json.RawMessage
}

// readAgentFrame reads a text message. False means that it is the application's own: what is no JSON object, has another type
// or lacks a field never gets an answer by the protocol.
func readAgentFrame(text []byte) (agentRequest, bool) {
	var f agentRequest
	if jsondoc.Check(text) != nil {
		return f, false
	}
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); trimmed[0] != '{' {
		return f, false
	}
	// The last member of a name counts, as in JavaScript, and names are compared exactly.
	members := map[string][]byte{}
	if jsondoc.Object(text, func(key string, value []byte) error {
		switch key {
		case "type", "state", "id", "method", "args":
			members[key] = value
		}
		return nil
	}) != nil {
		return f, false
	}
	kind, ok := textOf(members["type"])
	switch {
	case !ok:
		return f, false
	case kind == frameState:
		f.State = members["state"]
		return f, f.State != nil
	case kind != frameRPC:
		return f, false
	}
	var hasID, hasMethod bool
	f.ID, hasID = textOf(members["id"])
	f.Method, hasMethod = textOf(members["method"])
	args := members["args"]
	if !hasID || !hasMethod || len(args) == 0 || args[0] != '[' {
		return f, false
	}
	err := jsondoc.Array(args, func(value []byte) error {
		f.Args = append(f.Args, value)
		return nil
	})
	return f, err == nil
}

// textOf reads a JSON string, and says false of any other value.
func textOf(value []byte) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	s, err := jsondoc.Unquote(value)
	return s, err == nil
}

// identityFrame tells a client which instance it reached. stateFollows is a promise: the client is not ready before the next
// state frame.
func identityFrame(agent, name string, stateFollows bool) []byte {
	return encodeFrame(struct {
		Type         string `json:"type"`
		Name         string `json:"name"`
		Agent        string `json:"agent"`
		StateFollows bool   `json:"stateFollows,omitempty"`
	}{frameIdentity, name, agent, stateFollows})
}

// stateFrame carries a state as it is stored: reading and writing it again would change how numbers are spelled.
func stateFrame(state []byte) []byte {
	return wrap(`{"type":"`+frameState+`","state":`, state, `}`)
}

func stateErrorFrame(text string) []byte {
	return encodeFrame(struct {
		Type  string `json:"type"`
		Error string `json:"error"`
	}{frameStateError, text})
}

// resultFrame is the last answer to a call; a nil result is undefined.
func resultFrame(id string, result []byte) []byte { return successFrame(id, "true", result) }

// chunkFrame is a part of the answer to a call, with more to follow.
func chunkFrame(id string, result []byte) []byte { return successFrame(id, "false", result) }

func successFrame(id, done string, result []byte) []byte {
	head := `{"type":"` + frameRPC + `","id":` + string(jsondoc.Quote(id)) + `,"success":true,"done":` + done
	if result == nil {
		return []byte(head + "}")
	}
	return wrap(head+`,"result":`, result, "}")
}

func failureFrame(id, text string) []byte {
	return encodeFrame(struct {
		Type    string          `json:"type"`
		ID      json.RawMessage `json:"id"`
		Success bool            `json:"success"`
		Error   string          `json:"error"`
	}{frameRPC, jsondoc.Quote(id), false, text})
}

func wrap(before string, value []byte, after string) []byte {
	out := make([]byte, 0, len(before)+len(value)+len(after))
	out = append(out, before...)
	out = append(out, value...)
	return append(out, after...)
}

// mcpServer is what clients learn of a server; it has no part of how the agent signs in there.
type mcpServer struct {
	Name         string          `json:"name"`
	ServerURL    string          `json:"server_url"`
	AuthURL      *string         `json:"auth_url"`
	State        string          `json:"state"`
	Error        *string         `json:"error"`
	Instructions *string         `json:"instructions"`
	Capabilities json.RawMessage `json:"capabilities"`
}

// mcpFrame lists the MCP servers of a record. Nobody here is connected to them: those that need a sign-in are authenticating, the
// others not-connected. It is sent also when there are none.
func mcpFrame(r *session.Record) []byte {
	servers := map[string]mcpServer{}
	if r != nil {
		var rows map[string]struct {
			Name      string  `json:"name"`
			ServerURL string  `json:"server_url"`
			AuthURL   *string `json:"auth_url"`
		}
		// A part of another form has no servers to show.
		if part, ok := r.Parts[session.PartMCPServers]; ok && json.Unmarshal(part.Data, &rows) == nil {
			for id, row := range rows {
				s := mcpServer{Name: row.Name, ServerURL: row.ServerURL, AuthURL: row.AuthURL, State: "not-connected", Capabilities: json.RawMessage("null")}
				if row.AuthURL != nil && *row.AuthURL != "" {
					s.State = "authenticating"
				}
				servers[id] = s
			}
		}
	}
	var frame struct {
		Type string `json:"type"`
		MCP  struct {
			Servers   map[string]mcpServer `json:"servers"`
			Tools     []struct{}           `json:"tools"`
			Prompts   []struct{}           `json:"prompts"`
			Resources []struct{}           `json:"resources"`
		} `json:"mcp"`
	}
	frame.Type = frameMCP
	frame.MCP.Servers, frame.MCP.Tools, frame.MCP.Prompts, frame.MCP.Resources = servers, []struct{}{}, []struct{}{}, []struct{}{}
	return encodeFrame(frame)
}

func encodeFrame(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // nothing in these structs can fail
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}
