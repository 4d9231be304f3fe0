package cfexport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"vibesdk-gcp/internal/jsondoc"
)

// column is a member of an object: a name and JSON text.
type column struct {
	name  string
	value []byte
}

// row is an object in the order in which it was read.
type row []column

func readRow(text []byte) (row, error) {
	var r row
	err := jsondoc.Object(text, func(name string, value []byte) error {
		if r.get(name) != nil {
			return fmt.Errorf("column %q comes twice", name)
		}
		r = append(r, column{name, value})
		return nil
	})
	return r, err
}

// get returns the text of a column, nil when there is none.
func (r row) get(name string) []byte {
	for _, c := range r {
		if c.name == name {
			return c.value
		}
	}
	return nil
}

// has reports whether a column is there and not NULL.
func (r row) has(name string) bool {
	value := r.get(name)
	return value != nil && value[0] != 'n'
}

// withoutPayload leaves that column out.
func (r row) withoutPayload() row {
	var out row
	for _, c := range r {
		if c.name != "payload" {
			out = append(out, c)
		}
	}
	return out
}

func (r row) write() []byte {
	out := []byte{'{'}
	for i, c := range r {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, jsondoc.Quote(c.name)...), ':'), c.value...)
	}
	return append(out, '}')
}

// text is a column of type TEXT, empty when it is NULL or missing.
func (r row) text(name string) (string, error) {
	if !r.has(name) {
		return "", nil
	}
	s, err := jsondoc.Unquote(r.get(name))
	if err != nil {
		return "", fmt.Errorf("column %s is not text", name)
	}
	return s, nil
}

// json is a column of type TEXT with JSON in it, nil when it is NULL or missing.
func (r row) json(name string) ([]byte, error) {
	if !r.has(name) {
		return nil, nil
	}
	s, err := r.text(name)
	if err != nil {
		return nil, err
	}
	if err := jsondoc.Check([]byte(s)); err != nil {
		return nil, fmt.Errorf("column %s: %w", name, err)
	}
	return []byte(s), nil
}

// number is a numeric column, 0 when it is NULL or missing.
func (r row) number(name string) (float64, error) {
	if !r.has(name) {
		return 0, nil
	}
	n, err := strconv.ParseFloat(string(r.get(name)), 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return 0, fmt.Errorf("column %s is not a number", name)
	}
	return n, nil
}

// integer is a whole number that must be there.
func (r row) integer(name string) (int64, error) {
	n, err := r.number(name)
	if err != nil {
		return 0, err
	}
	if !r.has(name) || n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		return 0, fmt.Errorf("column %s is not a whole number", name)
	}
	return int64(n), nil
}

var null = []byte("null")

// quotedOrNull is a text as a column, NULL when it is empty.
func quotedOrNull(s string) []byte {
	if s == "" {
		return null
	}
	return jsondoc.Quote(s)
}

// textOrNull is JSON as a TEXT column.
func textOrNull(text []byte) []byte {
	if text == nil {
		return null
	}
	return jsondoc.Quote(string(text))
}

func numberOrNull(n float64) []byte {
	if n == 0 {
		return null
	}
	return strconv.AppendFloat(nil, n, 'f', -1, 64)
}

func integer(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// compact takes out white space, as JSON.stringify has none.
func compact(text []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return text
	}
	return out.Bytes()
}
