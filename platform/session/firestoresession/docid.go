package firestoresession

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789ABCDEF"

// escape turns any text into a document id, or a key of a map: different texts into different ids, and most texts into
// themselves. Firestore refuses what is not UTF-8, "/", ".", "..", "__…__" and the empty id.
func escape(text string) string {
	switch text {
	case "":
		return "%" // no other text gives this
	case ".", "..":
		return strings.ReplaceAll(text, ".", "%2E")
	}
	reserved := strings.HasPrefix(text, "__") && strings.HasSuffix(text, "__")
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		char := text[i : i+size]
		invalid := r == utf8.RuneError && size == 1
		if invalid || r == '/' || r == '%' || unicode.IsControl(r) || i == 0 && reserved {
			for _, c := range []byte(char) {
				b.WriteByte('%')
				b.WriteByte(hexDigits[c>>4])
				b.WriteByte(hexDigits[c&15])
			}
		} else {
			b.WriteString(char)
		}
		i += size
	}
	return b.String()
}

// unescape is the inverse of escape, and fails on what escape does not return.
func unescape(id string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(id); i++ {
		if id[i] != '%' || id == "%" {
			b.WriteByte(id[i])
			continue
		}
		if i+2 >= len(id) {
			return "", fmt.Errorf("document id %q is not of this driver", id)
		}
		high, low := strings.IndexByte(hexDigits, id[i+1]), strings.IndexByte(hexDigits, id[i+2])
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	text := b.String()
	if text == "%" && id == "%" {
		text = ""
	}
	if escape(text) != id {
		return "", fmt.Errorf("document id %q is not of this driver", id)
	}
	return text, nil
}
