package schemas

import (
	"bytes"
	"encoding/json"
)

// PeekRequestID returns the request id of a payload that [DecodeSandboxRequest] refuses, so that its failure can be
// filed under the name that its publisher knows. It returns "" when there is none that could be one; what
// comes after the id may be anything, also not JSON.
func PeekRequestID(data []byte) string {
	dec := json.NewDecoder(bytes.NewReader(data))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return ""
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return ""
		}
		if name != "requestId" && name != "request_id" {
			continue
		}
		var id string
		if json.Unmarshal(value, &id) != nil || requiredID(id) != "" {
			return ""
		}
		return id
	}
	return ""
}
