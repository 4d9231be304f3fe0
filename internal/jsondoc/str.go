package jsondoc

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

func unhex(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	default:
		return -1
	}
}

// unquote resolves the escapes of a string that [scanner.str] took, given with its quotes. A surrogate without its other
// half becomes the three bytes that UTF-8 would have for it, so that strings that differ stay different.
func unquote(quoted []byte) string {
	body := quoted[1 : len(quoted)-1]
	at := bytes.IndexByte(body, '\\')
	if at < 0 {
		return string(body)
	}
	out := append(make([]byte, 0, len(body)), body[:at]...)
	for i := at; i < len(body); i++ {
		if body[i] != '\\' {
			out = append(out, body[i])
			continue
		}
		i++
		switch body[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := unhex4(body[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				if i+6 < len(body) && body[i+1] == '\\' && body[i+2] == 'u' {
					if pair := utf16.DecodeRune(r, unhex4(body[i+3:])); pair != utf8.RuneError {
						out = utf8.AppendRune(out, pair)
						i += 6
						continue
					}
				}
				out = append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6&0x3F), 0x80|byte(r&0x3F))
				continue
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, body[i])
		}
	}
	return string(out)
}

func unhex4(b []byte) rune {
	return unhex(b[0])<<12 | unhex(b[1])<<8 | unhex(b[2])<<4 | unhex(b[3])
}

const hexDigits = "0123456789abcdef"

// Quote returns the shortest JSON string of s, with its quotes. It is the inverse of what reading a string does, also for
// halves of surrogates; other bytes that are not UTF-8 become U+FFFD.
func Quote(s string) []byte {
	out := append(make([]byte, 0, len(s)+2), '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\':
				out = append(out, '\\', c)
			case c == '\n':
				out = append(out, '\\', 'n')
			case c == '\r':
				out = append(out, '\\', 'r')
			case c == '\t':
				out = append(out, '\\', 't')
			case c < 0x20:
				out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				out = append(out, c)
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			if i+2 < len(s) && c == 0xED && s[i+1] >= 0xA0 && s[i+1] <= 0xBF && s[i+2]&0xC0 == 0x80 {
				out = append(out, '\\', 'u', 'd', hexDigits[s[i+1]>>2&15], hexDigits[s[i+1]&3<<2|s[i+2]>>4&3], hexDigits[s[i+2]&15])
				i += 3
				continue
			}
			out = utf8.AppendRune(out, utf8.RuneError)
			i++
			continue
		}
		out = append(out, s[i:i+size]...)
		i += size
	}
	return append(out, '"')
}

// Unquote returns the characters of a JSON string. ErrSyntax when it is none.
func Unquote(text []byte) (string, error) {
	s := scanner{text: text}
	end, err := s.str(0)
	if err == nil && end != len(text) {
		err = s.fault(end)
	}
	if err != nil {
		return "", err
	}
	return unquote(text), nil
}
