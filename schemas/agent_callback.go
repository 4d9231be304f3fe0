package schemas

import (
	"fmt"

	"vibesdk-gcp/schemas/gen"
)

const agentCallback = "agent callback"

// DecodeAgentCallback reads and validates a payload of the topic `agent-callbacks`. See [DecodeSandboxRequest] for
// what it takes and returns.
func DecodeAgentCallback(data []byte) (*gen.AgentCallback, error) {
	return decode(agentCallback, data, &gen.AgentCallback{}, validateAgentCallback)
}

// EncodeAgentCallback validates m and writes it as JSON. The same message gives the same bytes, in every process
// of one version.
func EncodeAgentCallback(m *gen.AgentCallback) ([]byte, error) {
	return encode(agentCallback, m, ValidateAgentCallback)
}

// CheckAgentCallback decodes and validates a payload and keeps nothing.
func CheckAgentCallback(data []byte) error {
	_, err := DecodeAgentCallback(data)
	return err
}

// ValidateAgentCallback returns nil or a [*ValidationError] with all faults of m.
func ValidateAgentCallback(m *gen.AgentCallback) error {
	var f faults
	validateAgentCallback(m, &f)
	return f.err(agentCallback)
}

func validateAgentCallback(m *gen.AgentCallback, f *faults) {
	f.check("sessionId", sessionID(m.GetSessionId()))
	if m.GetJobId() == "" {
		f.missing("is required", "jobId")
	} else {
		// Ids of jobs that were imported are what they were elsewhere, line breaks included.
		f.check("jobId", text(m.GetJobId(), MaxSessionID))
	}
	if m.GetRun() < 1 {
		f.missing(fmt.Sprintf("is %d, must be 1 or more", m.GetRun()), "run")
	}
}
