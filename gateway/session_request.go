package gateway

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
)

// maxWait is the longest that a caller may wait for an outcome, below the idle limits of common proxies.
const maxWait = 60 * time.Second

// invalid is a request with one field that breaks a rule.
func invalid(field, format string, args ...any) error {
	return &schemas.ValidationError{Subject: "request", Faults: []schemas.Fault{{Field: field, Message: fmt.Sprintf(format, args...)}}}
}

// checkID holds an id of the session port against its rules.
func checkID(field, id string) error {
	switch {
	case id == "":
		return invalid(field, "is required")
	case len(id) > session.MaxID:
		return invalid(field, "is %d bytes long, the limit is %d", len(id), session.MaxID)
	case !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl):
		return invalid(field, "must be UTF-8 text without control characters")
	}
	return nil
}

// pathID reads an id from the path. The mux decoded it once, each segment by itself: a slash in an id is %2F.
func pathID(r *http.Request, name, field string) (string, error) {
	id := r.PathValue(name)
	if id == loneSlash {
		id = "/"
	}
	return id, checkID(field, id)
}

// loneSlash stands in a path for a segment that is a slash and nothing else, which the mux takes for the end of the
// path. Nobody can send it by guessing.
var loneSlash = rand.Text()

// spellLoneSlash makes a path with such segments one that the mux understands.
func spellLoneSlash(r *http.Request) {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	found := false
	for i, s := range segments {
		if strings.EqualFold(s, "%2F") {
			segments[i], found = loneSlash, true
		}
	}
	if !found {
		return
	}
	u := *r.URL
	u.RawPath = strings.Join(segments, "/")
	if path, err := url.PathUnescape(u.RawPath); err == nil {
		u.Path, r.URL = path, &u
	}
}

func sessionID(r *http.Request) (string, error) { return pathID(r, "id", "sessionId") }

// openParts are the parts that callers read and write by name.
var openParts = []session.PartName{
	session.PartState, session.PartFullConversations, session.PartCompactConversations, session.PartMCPServers,
}

// partName reads a part from the path; the routes of the state have none there.
func partName(r *http.Request) (session.PartName, error) {
	part := session.PartName(r.PathValue("part"))
	if part == "" {
		return session.PartState, nil
	}
	return part, checkPart(part)
}

func checkPart(part session.PartName) error {
	if slices.Contains(openParts, part) {
		return nil
	}
	names := make([]string, len(openParts))
	for i, p := range openParts {
		names[i] = string(p)
	}
	return invalid("part", "must be one of %s", strings.Join(names, ", "))
}

// expectedVersion reads the precondition of a write: If-Match with the version that was read, or If-None-Match: * for
// a session that must not be there yet. Nil is no precondition.
func expectedVersion(h http.Header) (*int64, error) {
	match, none := h.Get("If-Match"), h.Get("If-None-Match")
	switch {
	case match != "" && none != "":
		return nil, invalid("If-None-Match", "must not come with If-Match")
	case match != "":
		version, err := parseETag(match)
		if err != nil {
			return nil, invalid("If-Match", "must be the one ETag that was read, like \"7\"")
		}
		return &version, nil
	case none == "*":
		return new(int64), nil
	case none != "":
		return nil, invalid("If-None-Match", "must be * for a write")
	}
	return nil, nil //nolint:nilnil // no precondition is an answer
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// parseETag reads what etag writes, and nothing else: weak tags never match strongly.
func parseETag(tag string) (int64, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(tag), `"`)
	if text, closed := strings.CutSuffix(text, `"`); ok && closed {
		if version, err := strconv.ParseInt(text, 10, 64); err == nil && version >= 0 && etag(version) == `"`+text+`"` {
			return version, nil
		}
	}
	return 0, invalid("ETag", "must be a version in quotes")
}

// matchesETag compares weakly, as If-None-Match of a read does.
func matchesETag(list string, version int64) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag(version) {
			return true
		}
	}
	return false
}

// preference is what a caller says about waiting (RFC 7240).
type preference struct {
	// wait is how long to wait for the outcome; 0 is not at all.
	wait time.Duration
	// applied is what the answer repeats as Preference-Applied.
	applied string
}

// preferenceOf reads Prefer: respond-async, or wait=<seconds>. Preferences that are not understood are passed over, as
// the RFC says.
func preferenceOf(h http.Header, otherwise time.Duration) preference {
	p := preference{wait: otherwise}
	for _, line := range h.Values("Prefer") {
		for token := range strings.SplitSeq(line, ",") {
			token, _, _ = strings.Cut(token, ";")
			name, value, _ := strings.Cut(strings.TrimSpace(token), "=")
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "wait":
				if seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 16); err == nil {
					seconds = min(seconds, uint64(maxWait/time.Second))
					return preference{wait: time.Duration(seconds) * time.Second, applied: "wait=" + strconv.FormatUint(seconds, 10)}
				}
			case "respond-async":
				p = preference{applied: "respond-async"}
			}
		}
	}
	return p
}

// limitOf reads ?limit=.
func limitOf(value string, otherwise, most int) (int, error) {
	if value == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, invalid("limit", "must be a number from 1 to %d", most)
	}
	return n, nil
}

// timeOf reads a time of a query; absent is the zero time.
func timeOf(field, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		return time.Time{}, invalid(field, "must be a time like 2026-01-31T12:00:00Z")
	}
	return t, nil
}

// sessionPath is the address of a session or of something below it.
func sessionPath(segments ...string) string {
	path := "/v1/sessions"
	for _, s := range segments {
		if s == "." || s == ".." { // as they are, they would be taken for steps
			s = strings.ReplaceAll(s, ".", "%2E")
		} else {
			s = url.PathEscape(s)
		}
		path += "/" + s
	}
	return path
}
