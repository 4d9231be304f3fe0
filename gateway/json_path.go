package gateway

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// jsonLevel is an object or a list that a decoder is in.
type jsonLevel struct {
	list bool
	at   int    // the element of a list
	name string // the field of an object
	// value: the name was read, its value comes next.
	value bool
}

// brokenField names the field in whose value a text stops being JSON, as in config.limit or charges[1].n; empty when it is none.
func brokenField(text []byte) string {
	dec := json.NewDecoder(bytes.NewReader(text))
	var in []jsonLevel
	for {
		token, err := dec.Token()
		if err != nil {
			return jsonPath(in)
		}
		switch token {
		case json.Delim('{'):
			in = append(in, jsonLevel{})
			continue
		case json.Delim('['):
			in = append(in, jsonLevel{list: true})
			continue
		case json.Delim('}'), json.Delim(']'):
			in = in[:len(in)-1]
		}
		if len(in) == 0 {
			return ""
		}
		last := &in[len(in)-1]
		if name, ok := token.(string); ok && !last.list && !last.value {
			last.name, last.value = name, true
			continue
		}
		last.value = false
		last.at++
	}
}

func jsonPath(in []jsonLevel) string {
	var path strings.Builder
	for _, level := range in {
		switch {
		case level.list:
			path.WriteString("[" + strconv.Itoa(level.at) + "]")
		case !level.value: // between two fields
			return path.String()
		default:
			if path.Len() > 0 {
				path.WriteByte('.')
			}
			path.WriteString(level.name)
		}
	}
	return path.String()
}
