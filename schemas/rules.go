package schemas

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Limits of single values, in bytes.
const (
	MaxID        = 200  // request_id
	MaxSessionID = 128  // session_id, clone_of, mutation_id, job_id
	MaxPath      = 512  // path of a file or folder, or into a JSON document
	MaxPathPart  = 255  // one part of a path: what file systems take
	MaxAddress   = 2048 // archive_uri, payload_uri
)

// A rule says what is wrong with a value, or nothing. Rules never quote the value itself.

// requiredID is for identifiers chosen by a publisher. They are printable ASCII without spaces, so that they
// can stand in a log line, a message attribute and a command line as they are.
func requiredID(value string) string {
	switch {
	case value == "":
		return "is required"
	case len(value) > MaxID:
		return tooLong(value, MaxID)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "must be printable ASCII without spaces"
	}
	return ""
}

// sessionID is for identifiers that come from agents, whose names are any text: people's addresses, titles.
func sessionID(value string) string {
	if value == "" {
		return "is required"
	}
	return oneLine(value, MaxSessionID)
}

// oneLine is for texts that people read in a list.
func oneLine(value string, limit int) string {
	if problem := text(value, limit); problem != "" {
		return problem
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return "must not hold control characters"
	}
	return ""
}

func text(value string, limit int) string {
	switch {
	case len(value) > limit:
		return tooLong(value, limit)
	case !utf8.ValidString(value):
		return "must be valid UTF-8"
	case strings.IndexByte(value, 0) >= 0:
		return "must not hold NUL"
	}
	return ""
}

// insideProject is for paths that must stay inside the project; "." is the project itself.
func insideProject(value string) string {
	if problem := oneLine(value, MaxPath); problem != "" {
		return problem
	}
	switch {
	case strings.IndexByte(value, '\\') >= 0:
		return "must be separated by slashes, not backslashes"
	case strings.HasPrefix(value, "/"):
		return "must be relative to the project, not absolute"
	case value == "..", strings.HasPrefix(value, "../"), strings.HasSuffix(value, "/.."), strings.Contains(value, "/../"):
		return "must stay inside the project, without .."
	case path.Clean(value) != value:
		return "must be clean: no empty parts, no single dots, no slash at the end"
	}
	for part := range strings.SplitSeq(value, "/") {
		if len(part) > MaxPathPart {
			return fmt.Sprintf("has a part of %d bytes, the limit is %d", len(part), MaxPathPart)
		}
	}
	return ""
}

// address is for places of stored objects. Credentials have no place in a message.
func address(value string, endings ...string) string {
	if len(value) > MaxAddress {
		return tooLong(value, MaxAddress)
	}
	u, err := url.Parse(value)
	switch {
	case err != nil, u.Scheme != "file" && u.Scheme != "gs":
		return "must be a file:// or gs:// address"
	case u.User != nil:
		return "must not hold a user or a password"
	case u.RawQuery != "", u.ForceQuery, strings.Contains(value, "#"):
		return "must not have a query or a fragment"
	case u.Scheme == "file" && (u.Host != "" || !strings.HasPrefix(u.Path, "/")):
		return "must name an absolute path, as in file:///path"
	case u.Scheme == "gs" && (u.Host == "" || len(u.Path) < 2):
		return "must name a bucket and an object, as in gs://bucket/object"
	case !utf8.ValidString(u.Path), strings.ContainsFunc(u.Path, unicode.IsControl):
		return "must be valid UTF-8 without control characters"
	case len(endings) > 0 && !slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(u.Path, ending) }):
		return "must end in one of " + strings.Join(endings, ", ")
	}
	return ""
}

// knownEnum refuses numbers without a name. They come from a newer version, whose meaning is not known here.
func knownEnum(value protoreflect.Enum) string {
	if enum := value.Descriptor(); enum.Values().ByNumber(value.Number()) == nil {
		return fmt.Sprintf("is %d, must be one of %s", value.Number(), enumNames(enum))
	}
	return ""
}

// empty refuses a field that a message of this kind has no use for: it would be ignored, and the publisher
// should know.
func empty(given bool, kind string) string {
	if given {
		return "must be empty for " + kind
	}
	return ""
}

func tooLong(value string, limit int) string {
	return fmt.Sprintf("is %d bytes long, the limit is %d", len(value), limit)
}
