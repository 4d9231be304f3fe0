package console

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/google/uuid"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
)

// related is what a message is about, as it is now.
type related struct {
	// Sandbox is the one that the message asks for or changes. SandboxID names it also when there is none yet.
	SandboxID string
	Sandbox   *client.Sandbox
	// Taken tells that the message wants a new sandbox under an id that another request has.
	Taken bool
	// SessionID is the session that the message changes, and Present how its part differs from what the message puts there; nil where
	// that says nothing.
	SessionID, Part string
	// Provider is the one that the session is at; empty is the first.
	Provider string
	Present  *diff
}

// Topics whose messages are about something that has a page.
const (
	topicSandboxes = "sandbox-requests"
	topicMutations = "state-mutations"
)

// relatedTo looks up what a letter's message is about. Nil is nothing that the person may see.
func (v *visit) relatedTo(letter client.DeadLetter, payload []byte) (*related, error) {
	switch {
	case letter.Topic == topicSandboxes && v.may(auth.SandboxesRead):
		return v.relatedSandbox(payload)
	case letter.Topic == topicMutations && v.may(auth.SessionsRead):
		return v.relatedSession(letter.Attributes[schemas.ProviderAttribute], payload)
	default:
		return nil, nil //nolint:nilnil // nothing is related, which is no fault
	}
}

func (v *visit) relatedSandbox(payload []byte) (*related, error) {
	var named struct {
		SandboxID string `json:"sandboxId"`
	}
	_ = json.Unmarshal(payload, &named) // a payload that is no request has no sandbox
	r := related{SandboxID: named.SandboxID}
	requestID := schemas.PeekRequestID(payload)
	if r.SandboxID == "" && requestID != "" {
		r.SandboxID = sandbox.IDFor(requestID)
	}
	if r.SandboxID == "" {
		return nil, nil //nolint:nilnil // as above
	}
	s, err := v.api.Sandboxes().Get(v.r.Context(), r.SandboxID)
	switch {
	case gone(err):
		return &r, nil
	case err != nil:
		return nil, err
	}
	r.Sandbox, r.Taken = &s, named.SandboxID == ""
	return &r, nil
}

// mutation is what the console looks at of a message for a session.
type mutation struct {
	SessionID string `json:"sessionId"`
	Kind      any    `json:"kind"`
	Part      string `json:"part"`
	Payload   string `json:"payload"`
}

// replaces tells whether the payload is all of the part afterwards.
func (m mutation) replaces() bool {
	switch fmt.Sprint(m.Kind) {
	case "PUT", "2", "INITIALIZE", "1":
		return m.Payload != ""
	default:
		return false
	}
}

// relatedSession looks where the message goes: a session of that name at another provider is another one.
func (v *visit) relatedSession(provider string, payload []byte) (*related, error) {
	if provider != "" && (!v.c.other(provider) || !v.mayChoose()) {
		return nil, nil //nolint:nilnil // as above
	}
	var m mutation
	if json.Unmarshal(payload, &m) != nil || m.SessionID == "" {
		return nil, nil //nolint:nilnil,nilerr // as above
	}
	r := related{SessionID: m.SessionID, Part: m.Part, Provider: provider}
	if r.Part == "" {
		r.Part = client.PartState
	}
	if !m.replaces() {
		return &r, nil
	}
	part, err := v.c.client(v.r, v.token, provider).Sessions().Read(v.r.Context(), m.SessionID, r.Part)
	if err != nil && !gone(err) {
		return nil, err
	}
	present := compare("the part as it is now", "what the message puts there", pretty(part.Data), pretty([]byte(m.Payload)))
	r.Present = &present
	return &r, nil
}

var requestIDField = regexp.MustCompile(`("request(?:Id|_id)"\s*:\s*)"(?:[^"\\]|\\.)*"`)

// renew gives the request of a payload another id, so that it is another request. All else stays as it is written.
func renew(text string) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return text, err
	}
	at := requestIDField.FindStringSubmatchIndex(text)
	if at == nil {
		return text, fmt.Errorf("the payload has no requestId to renew")
	}
	return text[:at[3]] + `"` + id.String() + `"` + text[at[1]:], nil
}

// advice says what people do about a letter.
func advice(letter client.DeadLetter, about *related) string {
	switch {
	case letter.State == client.LetterReplayed:
		return "It was published again and has not come back. If it fails once more, it is open again here."
	case letter.State == client.LetterParked:
		return "Somebody set it aside. Release it to replay it."
	case about != nil && about.Taken && letter.Permanent:
		return "A request has one id for ever, and the sandbox below has this one. Correct what is wrong, give the request a new id, save, and replay it."
	case letter.Permanent:
		return "A retry alone does not mend this: correct the payload, or what it refers to, and then replay it."
	default:
		return "Every attempt failed. If what it depends on works again, replay it as it is."
	}
}
