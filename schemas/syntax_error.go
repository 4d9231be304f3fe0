package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxValues is how many JSON values a message may hold. A largest request needs some 25,000; the limit
// keeps nine megabytes of `{},{},{}` from becoming hundreds of megabytes of memory.
const maxValues = 250_000

// SyntaxError is a payload that is not JSON, or JSON with more than 250,000 values. It says where, and shows at
// most one character of the payload: what surrounds it may be a secret.
type SyntaxError struct {
	// Subject names the kind of message: "sandbox request".
	Subject string
	// Line and Column count from 1; columns are bytes.
	Line, Column int
	Detail       string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s cannot be read: line %d, column %d: %s", e.Subject, e.Line, e.Column, e.Detail)
}

// checkSyntax says where data stops being UTF-8 JSON.
func checkSyntax(subject string, data []byte) error {
	if !utf8.Valid(data) {
		return syntaxErrorAt(subject, data, invalidUTF8(data), "invalid UTF-8")
	}
	if json.Valid(data) {
		return nil
	}
	var value json.RawMessage
	err := json.Unmarshal(data, &value)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		// Offset counts the bytes read, the wrong one included, except at the end of the input.
		at := int(syntax.Offset)
		if at > 0 && at < len(data) || at == len(data) && syntax.Error() != "unexpected end of JSON input" {
			at--
		}
		return syntaxErrorAt(subject, data, at, syntax.Error())
	}
	return nil
}

// checkSize refuses payloads with too many values before anything is allocated for them.
func checkSize(subject string, data []byte) error {
	if len(data) < maxValues {
		return nil
	}
	values := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = stringEnd(data, i) - 1
		case ',', '[', '{':
			if values++; values > maxValues {
				return syntaxErrorAt(subject, data, i, fmt.Sprintf("more than %d values", maxValues))
			}
		}
	}
	return nil
}

func syntaxErrorAt(subject string, data []byte, at int, detail string) error {
	at = min(max(at, 0), len(data))
	before := data[:at]
	return &SyntaxError{
		Subject: subject,
		Line:    bytes.Count(before, []byte("\n")) + 1,
		Column:  at - bytes.LastIndexByte(before, '\n'),
		Detail:  detail,
	}
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}
