package schemas

import (
	"encoding/json"
)

// The functions here split JSON that is known to be valid, without copying it: encoding/json's decoder would
// scan each value once for every level around it.

// kindOf returns the first byte of a JSON value.
func kindOf(value []byte) byte {
	if i := skipSpace(value, 0); i < len(value) {
		return value[i]
	}
	return 0
}

// eachMember calls each for the members of an object. The key is still quoted.
func eachMember(object []byte, each func(key, value []byte)) {
	i := skipSpace(object, skipSpace(object, 0)+1)
	for i < len(object) && object[i] == '"' {
		end := stringEnd(object, i)
		key := object[i:end]
		i = skipSpace(object, skipSpace(object, end)+1) // past the colon
		end = valueEnd(object, i)
		each(key, object[i:end])
		i = skipSpace(object, skipSpace(object, end)+1) // past the comma, or the end
	}
}

func eachElement(list []byte, each func(i int, value []byte)) {
	at := skipSpace(list, skipSpace(list, 0)+1)
	for i := 0; at < len(list) && list[at] != ']'; i++ {
		end := valueEnd(list, at)
		each(i, list[at:end])
		at = skipSpace(list, skipSpace(list, end)+1)
	}
}

// valueEnd returns the index after the value that starts at i.
func valueEnd(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch data[i] {
		case '"':
			i = stringEnd(data, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i // a number or word, ended by what is around it
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(data)
}

// stringEnd returns the index after the string whose opening quote is at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++ // the escaped byte ends nothing
		case '"':
			return i + 1
		}
	}
	return len(data)
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n') {
		i++
	}
	return i
}

// unquote reads a JSON string. What is none is empty.
func unquote(quoted []byte) string {
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return ""
	}
	return text
}
