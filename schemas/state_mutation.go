package schemas

import (
	"encoding/json"
	"regexp"
	"unicode/utf8"

	"vibesdk-gcp/schemas/gen"
)

// MaxPayload is the largest state_mutation payload in bytes of JSON text. A larger one travels by address.
const MaxPayload = 8 << 20

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
	f.check("mutationId", requiredID(m.GetMutationId()))
	f.check("sessionId", requiredID(m.GetSessionId()))
	if m.GetExpectedVersion() < 0 {
		f.add("expectedVersion", "is %d, must be 0 or more", m.GetExpectedVersion())
	}
	kind := m.GetKind()
	switch kind {
	case gen.StateMutation_UNSPECIFIED:
		f.missing("is required: one of "+enumNames(kind.Descriptor()), "kind")
		return
	case gen.StateMutation_INITIALIZE, gen.StateMutation_PUT, gen.StateMutation_MERGE,
		gen.StateMutation_PATCH, gen.StateMutation_APPEND:
		validatePayload(m, f)
		f.check("cloneOf", empty(m.GetCloneOf() != "", kind.String()))
	case gen.StateMutation_CLONE:
		noPayload(m, f)
		f.check("cloneOf", requiredID(m.GetCloneOf()))
		if m.GetCloneOf() != "" && m.GetCloneOf() == m.GetSessionId() {
			f.add("cloneOf", "must not be the session itself")
		}
	case gen.StateMutation_DESTROY:
		noPayload(m, f)
		f.check("cloneOf", empty(m.GetCloneOf() != "", kind.String()))
	default:
		f.check("kind", knownEnum(kind))
		return
	}
	if kind == gen.StateMutation_APPEND {
		f.check("path", jsonPointer(m.GetPath()))
	} else {
		f.check("path", empty(m.GetPath() != "", kind.String()))
	}
}

func validatePayload(m *gen.StateMutation, f *faults) {
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
	case m.GetKind() == gen.StateMutation_PATCH && kindOf([]byte(payload)) != '[':
		f.add("payload", "must be a list of operations for PATCH")
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
