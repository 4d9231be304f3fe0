package schemas

import "vibesdk-gcp/schemas/gen"

const cleanupTick = "cleanup tick"

// DecodeCleanupTick reads and validates a payload of the topic `cleanup-ticks`. See [DecodeSandboxRequest] for
// what it takes and returns.
func DecodeCleanupTick(data []byte) (*gen.CleanupTick, error) {
	return decode(cleanupTick, data, &gen.CleanupTick{}, validateCleanupTick)
}

// EncodeCleanupTick validates m and writes it as JSON. The same message gives the same bytes, in every process
// of one version.
func EncodeCleanupTick(m *gen.CleanupTick) ([]byte, error) {
	return encode(cleanupTick, m, ValidateCleanupTick)
}

// CheckCleanupTick decodes and validates a payload and keeps nothing.
func CheckCleanupTick(data []byte) error {
	_, err := DecodeCleanupTick(data)
	return err
}

// ValidateCleanupTick returns nil or a [*ValidationError] with all faults of m.
func ValidateCleanupTick(m *gen.CleanupTick) error {
	var f faults
	validateCleanupTick(m, &f)
	return f.err(cleanupTick)
}

func validateCleanupTick(m *gen.CleanupTick, f *faults) {
	if m.GetKind() == gen.CleanupTick_UNSPECIFIED {
		f.missing("is required: one of "+enumNames(m.GetKind().Descriptor()), "kind")
		return
	}
	f.check("kind", knownEnum(m.GetKind()))
}
