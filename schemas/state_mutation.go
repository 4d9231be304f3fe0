package schemas

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"vibesdk-gcp/schemas/gen"
)

// MaxPayload is the largest state_mutation payload in bytes of JSON text. A larger one travels by address.
const MaxPayload = 8 << 20

// AwaitedAttribute is the attribute, set to 1, of a message of `state-mutations` whose publisher waits for the outcome. A rejection
// is then its answer and no dead letter.
const AwaitedAttribute = "awaited"

// ProviderAttribute is the attribute of messages of `state-mutations` and `agent-callbacks` that are about a session of the second provider:
// its name. Messages without it are about sessions of the first.
const ProviderAttribute = "provider"

const stateMutation = "state mutation"

// DecodeStateMutation reads and validates a payload of the topic `state-mutations`. See
// [DecodeSandboxRequest] for what it takes and returns.
func DecodeStateMutation(data []byte) (*gen.StateMutation, error) {
	return decode(stateMutation, data, &gen.StateMutation{}, validateStateMutation)
}

// EncodeStateMutation validates m and writes it as JSON. The same message gives the same bytes, in every
// process of one version.
func EncodeStateMutation(m *gen.StateMutation) ([]byte, error) {
	return encode(stateMutation, m, ValidateStateMutation)
}

// CheckStateMutation decodes and validates a payload and keeps nothing.
func CheckStateMutation(data []byte) error {
	_, err := DecodeStateMutation(data)
	return err
}

// ValidateStateMutation returns nil or a [*ValidationError] with all faults of m.
func ValidateStateMutation(m *gen.StateMutation) error {
	var f faults
	validateStateMutation(m, &f)
	return f.err(stateMutation)
}

func validateStateMutation(m *gen.StateMutation, f *faults) {
	f.check("mutationId", sessionID(m.GetMutationId()))
	f.check("sessionId", sessionID(m.GetSessionId()))
	if m.GetExpectedVersion() < 0 {
		f.add("expectedVersion", "is %d, must be 0 or more", m.GetExpectedVersion())
	}
	kind := m.GetKind()
	rule, known := mutationRules[kind]
	switch {
	case kind == gen.StateMutation_UNSPECIFIED:
		f.missing("is required: one of "+enumNames(kind.Descriptor()), "kind")
		return
	case !known:
		f.check("kind", knownEnum(kind))
		return
	}
	if rule.payload != nothing {
		validatePayload(m, rule.payload, f)
	} else {
		noPayload(m, f)
	}
	if kind == gen.StateMutation_CLONE {
		f.check("cloneOf", sessionID(m.GetCloneOf()))
		if m.GetCloneOf() != "" && m.GetCloneOf() == m.GetSessionId() {
			f.add("cloneOf", "must not be the session itself")
		}
	} else {
		f.check("cloneOf", empty(m.GetCloneOf() != "", kind.String()))
	}
	if rule.part {
		f.check("part", part(m.GetPart()))
	} else {
		f.check("part", empty(m.GetPart() != "", kind.String()))
	}
	if kind == gen.StateMutation_APPEND {
		f.check("path", jsonPointer(m.GetPath()))
	} else {
		f.check("path", empty(m.GetPath() != "", kind.String()))
	}
}

// shape is what the JSON of a payload must begin with.
type shape byte

const (
	nothing  shape = 0
	anyValue shape = '*'
	aList    shape = '['
	anObject shape = '{'
)

// mutationRules says what a mutation of each kind carries.
var mutationRules = map[gen.StateMutation_Kind]struct {
	payload shape
	part    bool
}{
	gen.StateMutation_INITIALIZE:      {payload: anyValue},
	gen.StateMutation_PUT:             {payload: anyValue, part: true},
	gen.StateMutation_MERGE:           {payload: anyValue, part: true},
	gen.StateMutation_PATCH:           {payload: aList, part: true},
	gen.StateMutation_APPEND:          {payload: anyValue, part: true},
	gen.StateMutation_CLONE:           {},
	gen.StateMutation_DESTROY:         {},
	gen.StateMutation_SCHEDULE:        {payload: anObject},
	gen.StateMutation_CANCEL_SCHEDULE: {payload: anObject},
	gen.StateMutation_ENQUEUE:         {payload: anObject},
	gen.StateMutation_DEQUEUE:         {payload: anObject},
	gen.StateMutation_IMPORT:          {payload: anObject},
}

// parts are those that a publisher may change; jobs and tables have kinds of their own.
var parts = []string{"state", "full_conversations", "compact_conversations", "mcp_servers"}

func part(value string) string {
	if value != "" && !slices.Contains(parts, value) {
		return "must be empty or one of " + strings.Join(parts, ", ")
	}
	return ""
}

// validatePayload cannot see what is behind an address: whoever fetches it checks it.
func validatePayload(m *gen.StateMutation, want shape, f *faults) {
	payload, uri := m.GetPayload(), m.GetPayloadUri()
	switch {
	case payload != "" && uri != "":
		f.add("payloadUri", "only one of payload and payloadUri may be given")
	case payload == "" && uri == "":
		f.missing("one of payload and payloadUri is required", "payload", "payloadUri")
	case uri != "":
		f.check("payloadUri", address(uri))
	case len(payload) > MaxPayload:
		f.add("payload", "%s: give it as payloadUri", tooLong(payload, MaxPayload))
	case !utf8.ValidString(payload) || !json.Valid([]byte(payload)):
		f.add("payload", "must be JSON text")
	case want == aList && kindOf([]byte(payload)) != '[':
		f.add("payload", "must be a list of operations for %s", m.GetKind())
	case want == anObject && kindOf([]byte(payload)) != '{':
		f.add("payload", "must be an object for %s", m.GetKind())
	}
}

func noPayload(m *gen.StateMutation, f *faults) {
	f.check("payload", empty(m.GetPayload() != "", m.GetKind().String()))
	f.check("payloadUri", empty(m.GetPayloadUri() != "", m.GetKind().String()))
}

// pointer is the grammar of RFC 6901; the empty one is the whole document.
var pointer = regexp.MustCompile(`^(?:/(?:[^~/]|~[01])*)*$`)

func jsonPointer(value string) string {
	if problem := text(value, MaxPath); problem != "" {
		return problem
	}
	if !pointer.MatchString(value) {
		return "must be a JSON Pointer: empty, or parts that each start with /, with ~ only in ~0 and ~1"
	}
	return ""
}
