package sandbox

import "strings"

// Limits of the texts in a record and a status, in bytes. Longer ones lose their beginning (LogTail) or their end (Reason, Waiting).
const (
	MaxReason  = 2 << 10
	MaxLogTail = 16 << 10
)

// clean makes a text that came from outside storable: valid UTF-8 and no NUL, which Postgres refuses.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

func cleanStart(s string, limit int) string {
	if s = clean(s); len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

func cleanTail(s string) string {
	if s = clean(s); len(s) > MaxLogTail {
		s = strings.ToValidUTF8(s[len(s)-MaxLogTail:], "")
	}
	return s
}
