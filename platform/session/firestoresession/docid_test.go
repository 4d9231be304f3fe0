package firestoresession_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"vibesdk-gcp/platform/session/firestoresession"
)

var reserved = regexp.MustCompile(`(?s)^__.*__$`)

func TestDocumentIDsOfUsualSessionsAreTheirNames(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "550e8400-e29b-41d4-a716-446655440000", "user_1:agent.2", "...", "_", "__", "__a", "日本 語"} {
		want := id
		if id == "__" {
			want = "%5F_"
		}
		if got := firestoresession.Escape(id); got != want {
			t.Errorf("escape %q: %q, want %q", id, got, want)
		}
	}
}

func TestForeignDocumentIDsAreRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "a%", "a%4", "%41", "%2f", "%zz", "..", "__a__", "a/b", "%2Ex", "%5Fa"} {
		if text, err := firestoresession.Unescape(id); err == nil {
			t.Errorf("unescape %q: %q, want an error", id, text)
		}
	}
}

// FuzzDocumentID: every text gets an id that Firestore takes, and no other text gets the same.
func FuzzDocumentID(f *testing.F) {
	for _, id := range []string{"", "a", "/", "a/b", ".", "..", "...", "__a__", "____", "__", "%", "%25", "%2F", "a%", "\xff\xfe", "\x00", "é\u0085", "_%5F_"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id := firestoresession.Escape(text)
		if id == "" || id == "." || id == ".." || strings.Contains(id, "/") || reserved.MatchString(id) || !utf8.ValidString(id) || len(id) > 3*len(text)+1 {
			t.Fatalf("escape %q: %q is no document id", text, id)
		}
		back, err := firestoresession.Unescape(id)
		if err != nil || back != text {
			t.Fatalf("%q became %q and then %q, %v", text, id, back, err)
		}
		if again, err := firestoresession.Unescape(text); err == nil && firestoresession.Escape(again) != text {
			t.Fatalf("%q is taken for the id of %q", text, again)
		}
	})
}
