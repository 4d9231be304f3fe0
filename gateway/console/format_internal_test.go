package console

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestPlainTextCanDoNothing(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\x1b[31mred\x1b[0m and \x1b[1;38;5;9mbold\x1b[m":  "red and bold",
		"\x1b]0;a title\x07after":                          "after",
		"\x1b]8;;http://evil.test\x1b\\link\x1b]8;;\x1b\\": "link",
		"\x1b(Bcharset \x1b7saved":                         "charset saved",
		"10%\r20%\r\n30%":                                  "10%\n20%\n30%",
		"bell\x07 null\x00 del\x7f":                        "bell\u2407 null\u2400 del\u2421",
		"\u202egnp.exe":                                    "\uFFFDgnp.exe",
		"c1 \u009b31m":                                     "c1 \uFFFD31m",
		"<script>alert(1)</script>":                        "<script>alert(1)</script>", // the template escapes it
		"tab\tand\nline":                                   "tab\tand\nline",
		"broken \xff\xfe":                                  "broken \uFFFD",
		"alone \x1b":                                       "alone \u241b",
		"nothing to do, déjà vu, 漢字":                       "nothing to do, déjà vu, 漢字",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m\r\n\u202e\x1b]0;")
	f.Fuzz(func(t *testing.T, text string) {
		got := plain(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }) {
			t.Errorf("plain(%q) = %q", text, got)
		}
		if again := plain(got); again != got {
			t.Errorf("plain is not stable: %q, then %q", got, again)
		}
	})
}

func TestTimesAndSizesForPeople(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", time.Second: "1 s ago", 59 * time.Second: "59 s ago", 61 * time.Second: "1 min ago", -90 * time.Minute: "in 1 h",
		47 * time.Hour: "47 h ago", 72 * time.Hour: "3 days ago",
	} {
		if got := ago(now, now.Add(-d)); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if ago(now, time.Time{}) != "never" || utc(time.Time{}) != "–" {
		t.Error("a time that is not there has a text")
	}
	for n, want := range map[int]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 3 << 20: "3.0 MiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	for _, c := range []struct {
		in   any
		want string
	}{{0.36, "0.36"}, {10.0, "10"}, {1.5, "1.5"}, {math.NaN(), "–"}, {(*float64)(nil), "–"}, {int64(7), "7"}} {
		if got := number(c.in); got != c.want {
			t.Errorf("number(%v) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestPrettyKeepsEveryNumberAndString(t *testing.T) {
	t.Parallel()
	if got, want := pretty([]byte(`{"n":1.0e2,"s":"<\u003c","big":12345678901234567890}`)), "{\n  \"n\": 1.0e2,\n  \"s\": \"<\\u003c\",\n  \"big\": 12345678901234567890\n}"; got != want {
		t.Errorf("%s", got)
	}
	if got := pretty([]byte("not json {")); got != "not json {" {
		t.Errorf("%q", got)
	}
	if part, rest := shown("ab漢字", 4); part != "ab" || rest != 6 {
		t.Errorf("%q, %d", part, rest)
	}
}
