package schemas

import (
	"fmt"
	"time"

	"vibesdk-gcp/schemas/gen"
)

const cleanupTick = "cleanup tick"

// The least ages at which things may be removed: what is younger may be in use. A tick can ask for more, never for less, so that no typo in a
// schedule deletes what is needed.
const (
	// MinChunkAge is longer than a writer of a session takes between its first chunk and its commit.
	MinChunkAge = time.Hour
	// MinFileAge is that of uploads: the gateway uses one again for a day, and a sandbox that was asked for then may build again
	// for another.
	MinFileAge = 49 * time.Hour
	// MaxAge bounds both.
	MaxAge = 366 * 24 * time.Hour
)

// minAges are the kinds that remove by age.
var minAges = map[gen.CleanupTick_Kind]time.Duration{
	gen.CleanupTick_ORPHANED_CHUNKS: MinChunkAge, gen.CleanupTick_EXPIRED_FILES: MinFileAge,
}

// OlderThan is how old a thing must be for a tick to remove it: what the tick says, or the least of its kind.
func OlderThan(m *gen.CleanupTick) time.Duration {
	return max(minAges[m.GetKind()], time.Duration(m.GetOlderThanSeconds())*time.Second)
}

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
	f.check("olderThanSeconds", olderThan(m))
}

func olderThan(m *gen.CleanupTick) string {
	seconds := m.GetOlderThanSeconds()
	least, byAge := minAges[m.GetKind()]
	switch {
	case seconds == 0:
		return ""
	case !byAge:
		return "has no use with kind " + m.GetKind().String()
	case seconds < int64(least/time.Second) || seconds > int64(MaxAge/time.Second):
		return fmt.Sprintf("must be from %d to %d with kind %s", int64(least/time.Second), int64(MaxAge/time.Second), m.GetKind())
	}
	return ""
}
