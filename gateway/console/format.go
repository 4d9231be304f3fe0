package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// functions are what templates call. All that they return is text, which the templates escape.
var functions = template.FuncMap{
	"ago": ago, "utc": utc, "stamp": stamp, "size": size, "plain": plain, "tone": tone, "segment": url.PathEscape, "count": count,
	"seconds": seconds, "number": number,
}

// stamp is a time for programs.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// utc is a time for people.
func utc(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// ago tells a time from now.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch text := length(d.Abs()); {
	case d.Abs() < time.Second:
		return "now"
	case d < 0:
		return "in " + text
	default:
		return text + " ago"
	}
}

// length is a duration for people, rounded down to its largest unit.
func length(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}

// seconds is a length in seconds for people.
func seconds(n any) string {
	value, ok := toFloat(n)
	if !ok {
		return "–"
	}
	return length(time.Duration(value * float64(time.Second)))
}

func toFloat(n any) (float64, bool) {
	switch n := n.(type) {
	case float64:
		return n, true
	case int64:
		return float64(n), true
	case int:
		return float64(n), true
	case *float64:
		if n != nil {
			return *n, true
		}
	}
	return 0, false
}

// number is a count that may be a fraction; no number is a dash.
func number(n any) string {
	value, ok := toFloat(n)
	if !ok || math.IsNaN(value) {
		return "–"
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", value), "0"), ".")
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// size is a number of bytes for people.
func size(n int) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}

// escapes are what programs print to colour a terminal or to name its window: ECMA-48's control sequences and strings.
var escapes = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])")

// plain is what a stranger printed, as text that can do nothing: without what terminals obey, and with every other character that has
// no shape, or that turns the direction of what follows, shown as one that has.
func plain(text string) string {
	text = escapes.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return '\n'
		case r < ' ':
			return 0x2400 + r // the pictures of control characters
		case r == 0x7f:
			return 0x2421
		case unicode.Is(unicode.Bidi_Control, r) || r >= 0x80 && r < 0xa0:
			return '\uFFFD'
		default:
			return r
		}
	}, text)
}

// tone is the class of the colour that a word has; every word is shown as text, too.
func tone(word any) string {
	switch fmt.Sprint(word) {
	case "ready", "applied", "replayed", "would-replay", "public", "runs", "active":
		return "good"
	case "failed", "open", "refused", "conflict", "invalid", "too-large", "not-found", "initialized", "permanent":
		return "bad"
	case "requested", "building", "starting", "stopping", "parked", "paused", "changed", "private", "edited", "pending":
		return "warn"
	default:
		return "calm"
	}
}

// pretty writes JSON with indents and every number and string as it was; other text stays as it is.
func pretty(data []byte) string {
	var out bytes.Buffer
	if !json.Valid(data) || json.Indent(&out, data, "", "  ") != nil {
		return string(data)
	}
	return out.String()
}

// shown cuts a text for a page, and tells how much was left out.
func shown(text string, limit int) (part string, rest int) {
	if len(text) <= limit {
		return text, 0
	}
	end := limit
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end], len(text) - end
}

func assetTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}
