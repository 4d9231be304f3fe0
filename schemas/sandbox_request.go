package schemas

import (
	"fmt"
	"strings"

	"vibesdk-gcp/schemas/gen"
)

// Limits of a sandbox request.
const (
	MaxProjectName = 100  // bytes
	MaxCommand     = 4096 // bytes
	MaxSandboxID   = 40   // bytes
	MaxAppName     = 63   // bytes
	MinSeconds     = 5    // ttl_seconds and idle_seconds, unless 0
	MaxSeconds     = 86400
)

const sandboxRequest = "sandbox request"

// DecodeSandboxRequest reads and validates a payload of the topic `sandbox-requests`. Fields are taken in both
// spellings (requestId, request_id) and unknown ones are ignored. The error is a [*SyntaxError] or a
// [*ValidationError]; neither goes away by trying again.
func DecodeSandboxRequest(data []byte) (*gen.SandboxRequest, error) {
	return decode(sandboxRequest, data, &gen.SandboxRequest{}, validateSandboxRequest)
}

// EncodeSandboxRequest validates m and writes it as JSON. The same message gives the same bytes, in every
// process of one version.
func EncodeSandboxRequest(m *gen.SandboxRequest) ([]byte, error) {
	return encode(sandboxRequest, m, ValidateSandboxRequest)
}

// CheckSandboxRequest decodes and validates a payload and keeps nothing.
func CheckSandboxRequest(data []byte) error {
	_, err := DecodeSandboxRequest(data)
	return err
}

// ValidateSandboxRequest returns nil or a [*ValidationError] with all faults of m.
func ValidateSandboxRequest(m *gen.SandboxRequest) error {
	var f faults
	validateSandboxRequest(m, &f)
	return f.err(sandboxRequest)
}

func validateSandboxRequest(m *gen.SandboxRequest, f *faults) {
	f.check("requestId", requiredID(m.GetRequestId()))
	f.check("action", knownEnum(m.GetAction()))
	f.check("stopReason", knownEnum(m.GetStopReason()))
	switch m.GetAction() {
	case gen.SandboxRequest_UNSPECIFIED, gen.SandboxRequest_RUN:
		validateRun(m, f)
	case gen.SandboxRequest_STOP:
		f.check("sandboxId", sandboxID(m.GetSandboxId()))
		f.check("projectName", empty(m.GetProjectName() != "", "STOP"))
		nothingToRun(m, f, "STOP")
	case gen.SandboxRequest_RESUME:
		f.check("sandboxId", sandboxID(m.GetSandboxId()))
		f.check("projectName", empty(m.GetProjectName() != "", "RESUME"))
		nothingToRun(m, f, "RESUME")
		f.check("stopReason", empty(m.GetStopReason() != 0, "RESUME"))
	case gen.SandboxRequest_RENAME:
		f.check("sandboxId", sandboxID(m.GetSandboxId()))
		if m.GetProjectName() == "" {
			f.missing("is required", "projectName")
		}
		f.check("projectName", oneLine(m.GetProjectName(), MaxProjectName))
		nothingToRun(m, f, "RENAME")
		f.check("stopReason", empty(m.GetStopReason() != 0, "RENAME"))
	}
}

func validateRun(m *gen.SandboxRequest, f *faults) {
	if m.GetSandboxId() != "" {
		f.add("sandboxId", "must be empty for RUN: it follows from requestId")
	}
	f.check("projectName", oneLine(m.GetProjectName(), MaxProjectName))
	validateSource(m.GetSource(), f)
	f.check("installCommand", text(m.GetInstallCommand(), MaxCommand))
	f.check("buildCommand", text(m.GetBuildCommand(), MaxCommand))
	f.check("devCommand", text(m.GetDevCommand(), MaxCommand))
	switch dev, static := m.GetDevCommand() != "", m.GetStaticDir() != ""; {
	case dev && static:
		f.add("staticDir", "only one of devCommand and staticDir may be given")
	case static:
		f.check("staticDir", insideProject(m.GetStaticDir()))
	case !dev:
		f.missing("one of devCommand and staticDir is required", "devCommand", "staticDir")
	}
	validateEnv(m.GetEnv(), f)
	f.check("ttlSeconds", seconds(m.GetTtlSeconds()))
	f.check("idleSeconds", seconds(m.GetIdleSeconds()))
	f.check("stopReason", empty(m.GetStopReason() != 0, "RUN"))
	if m.GetAppName() != "" {
		f.check("appName", appName(m.GetAppName()))
		if m.GetTtlSeconds() != 0 || m.GetIdleSeconds() != 0 {
			f.add("appName", "must not be given with ttlSeconds or idleSeconds: a deployment lasts")
		}
	}
}

func nothingToRun(m *gen.SandboxRequest, f *faults, action string) {
	f.check("source", empty(m.GetSource() != nil, action))
	f.check("installCommand", empty(m.GetInstallCommand() != "", action))
	f.check("buildCommand", empty(m.GetBuildCommand() != "", action))
	f.check("devCommand", empty(m.GetDevCommand() != "", action))
	f.check("staticDir", empty(m.GetStaticDir() != "", action))
	f.check("env", empty(len(m.GetEnv()) > 0, action))
	f.check("ttlSeconds", empty(m.GetTtlSeconds() != 0, action))
	f.check("idleSeconds", empty(m.GetIdleSeconds() != 0, action))
	f.check("appName", empty(m.GetAppName() != "", action))
}

func sandboxID(value string) string {
	strange := func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	switch {
	case value == "":
		return "is required"
	case len(value) > MaxSandboxID:
		return tooLong(value, MaxSandboxID)
	case strings.ContainsFunc(value, strange), value[0] < 'a', strings.HasSuffix(value, "-"):
		return "must be made of a-z, 0-9 and -, start with a letter and not end with -"
	}
	return ""
}

// appName is the first label of a host, so DNS has the rules.
func appName(value string) string {
	strange := func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if len(value) > MaxAppName {
		return tooLong(value, MaxAppName)
	}
	if strings.ContainsFunc(value, strange) || strings.HasPrefix(value, "-") || strings.HasSuffix(value, "-") {
		return "must be made of a-z, 0-9 and -, and neither start nor end with -"
	}
	return ""
}

func seconds(value int32) string {
	if value != 0 && (value < MinSeconds || value > MaxSeconds) {
		return fmt.Sprintf("is %d, must be 0 (the platform's default) or %d to %d", value, MinSeconds, MaxSeconds)
	}
	return ""
}
