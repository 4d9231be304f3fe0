package schemas_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/schemas"
)

// TestAgesHaveAFloor: no typo in a schedule removes what may be in use.
func TestAgesHaveAFloor(t *testing.T) {
	t.Parallel()
	for kind, least := range map[string]time.Duration{"ORPHANED_CHUNKS": schemas.MinChunkAge, "EXPIRED_FILES": schemas.MinFileAge} {
		for seconds, valid := range map[int64]bool{
			-1: false, 0: true, 1: false, int64(least/time.Second) - 1: false, int64(least / time.Second): true,
			int64(schemas.MaxAge / time.Second): true, int64(schemas.MaxAge/time.Second) + 1: false, 1<<63 - 1: false,
		} {
			m, err := schemas.DecodeCleanupTick(fmt.Appendf(nil, `{"kind":%q,"olderThanSeconds":%d}`, kind, seconds))
			if (err == nil) != valid {
				t.Errorf("%s older than %d s: %v", kind, seconds, err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), "olderThanSeconds") {
					t.Errorf("%v does not name the field", err)
				}
				continue
			}
			if got := schemas.OlderThan(m); got < least || got != max(least, time.Duration(seconds)*time.Second) {
				t.Errorf("%s older than %d s means %s", kind, seconds, got)
			}
		}
	}
}
