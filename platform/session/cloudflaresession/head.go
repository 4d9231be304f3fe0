package cloudflaresession

import (
	"fmt"
	"time"

	"vibesdk-gcp/platform/session"
)

// headJSON is a head as the bridge stores and lists it, without looking inside. Times are microseconds since 1970, and absent when
// zero.
type headJSON struct {
	ID          string `json:"id"`
	Commit      int64  `json:"commit"`
	Version     int64  `json:"version"`
	Initialized bool   `json:"initialized,omitempty"`
	Present     bool   `json:"present,omitempty"`
	Created     *int64 `json:"created,omitempty"`
	Updated     *int64 `json:"updated,omitempty"`
	Expires     *int64 `json:"expires,omitempty"`
	Alarm       *int64 `json:"alarm,omitempty"`
}

func newHead(h session.Head) headJSON {
	return headJSON{
		ID: h.ID, Commit: h.Commit, Version: h.Version, Initialized: h.Initialized, Present: h.Present,
		Created: micros(h.CreatedAt), Updated: micros(h.UpdatedAt), Expires: micros(h.ExpiresAt), Alarm: micros(h.AlarmAt),
	}
}

func (h headJSON) head() session.Head {
	return session.Head{
		ID: h.ID, Commit: h.Commit, Version: h.Version, Initialized: h.Initialized, Present: h.Present,
		CreatedAt: fromMicros(h.Created), UpdatedAt: fromMicros(h.Updated), ExpiresAt: fromMicros(h.Expires), AlarmAt: fromMicros(h.Alarm),
	}
}

func micros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	us := t.UnixMicro()
	return &us
}

func fromMicros(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return time.UnixMicro(*us).UTC()
}

// sortKey is a time as text that sorts like it, and empty for the zero time.
func sortKey(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%016x", uint64(t.UnixMicro())^1<<63)
}
