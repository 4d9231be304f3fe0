package gateway

import (
	"encoding/json"

	"vibesdk-gcp/internal/jsondoc"
	"vibesdk-gcp/platform/session"
)

// The types of frames of VibeSDK that are made here.
const (
	frameVibeSDKError        = "error"
	frameVibeSDKConnected    = "agent_connected"
	frameVibeSDKConversation = "conversation_state"
)

// broadcastFrame is a frame of the agents protocol as VibeSDK's agents broadcast it: the whole frame is the text of type. The page of
// October 2025 acts on a typed cf_agent_state by starting the generation again, which changes the state, and so must never see one
// but the first. What a client sent has its connection id under "0".
func broadcastFrame(frame []byte, sender string) []byte {
	head := "{"
	if sender != "" {
		head = `{"0":` + string(jsondoc.Quote(sender)) + ","
	}
	return wrap(head+`"type":`, jsondoc.Quote(string(frame)), "}")
}

// connectedFrame is the agent's greeting. VibeSDK puts the details of its template into it, which only an agent host knows.
func connectedFrame(state []byte) []byte {
	if state == nil {
		state = []byte("{}")
	}
	return wrap(`{"type":"`+frameVibeSDKConnected+`","state":`, state, `,"previewUrl":""}`)
}

func vibeSDKErrorFrame(text string) []byte {
	return encodeFrame(struct {
		Type  string `json:"type"`
		Error string `json:"error"`
	}{frameVibeSDKError, text})
}

// conversationFrame answers get_conversation_state: the running history is the whole one when there is none, and of messages with one
// conversation, role and tool call the first counts.
func conversationFrame(r *session.Record) []byte {
	var frame struct {
		Type  string `json:"type"`
		State struct {
			ID             string            `json:"id"`
			RunningHistory []json.RawMessage `json:"runningHistory"`
			FullHistory    []json.RawMessage `json:"fullHistory"`
		} `json:"state"`
	}
	frame.Type, frame.State.ID = frameVibeSDKConversation, "default"
	frame.State.FullHistory = messagesOf(r, session.PartFullConversations)
	if frame.State.RunningHistory = messagesOf(r, session.PartCompactConversations); len(frame.State.RunningHistory) == 0 {
		frame.State.RunningHistory = frame.State.FullHistory
	}
	return encodeFrame(frame)
}

// messagesOf reads the messages of a part; one of another form has none.
func messagesOf(r *session.Record, name session.PartName) []json.RawMessage {
	messages := []json.RawMessage{}
	if r == nil {
		return messages
	}
	type identity struct{ conversation, role, call string }
	seen := map[identity]bool{}
	if part, ok := r.Parts[name]; ok && jsondoc.Array(part.Data, func(value []byte) error {
		var members [3]string
		if err := jsondoc.Object(value, func(key string, value []byte) error {
			for i, name := range []string{"conversationId", "role", "tool_call_id"} {
				if key == name {
					members[i], _ = textOf(value)
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if id := (identity{members[0], members[1], members[2]}); !seen[id] {
			seen[id] = true
			messages = append(messages, json.RawMessage(value))
		}
		return nil
	}) != nil {
		return []json.RawMessage{}
	}
	return messages
}
