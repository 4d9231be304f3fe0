package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// readMessage reads the fields of a JSON object into m one by one. Unknown fields are ignored; a field that
// cannot be read is a fault and stays empty. The data is valid JSON.
func readMessage(data []byte, m protoreflect.Message, at string, wrong *faults) {
	if kindOf(data) != '{' {
		wrong.add(at, "must be an object")
		return
	}
	fields := m.Descriptor().Fields()
	seen := map[protoreflect.FieldNumber]bool{}
	eachMember(data, func(name string, value json.RawMessage) {
		fd := fields.ByJSONName(name)
		if fd == nil {
			fd = fields.ByTextName(name)
		}
		if fd == nil {
			return
		}
		field := fd.JSONName()
		if at != "" {
			field = at + "." + field
		}
		if seen[fd.Number()] {
			wrong.add(field, "is given twice")
			return
		}
		seen[fd.Number()] = true
		readField(value, m, fd, field, wrong)
	})
}

// readField reads one value: in one piece if it is right, else part by part to find what is wrong.
func readField(value json.RawMessage, m protoreflect.Message, fd protoreflect.FieldDescriptor, field string, wrong *faults) {
	if piece, ok := readPiece(m, fd, value); ok {
		if piece.Has(fd) {
			m.Set(fd, piece.Get(fd))
		}
		return
	}
	switch {
	case fd.IsMap():
		readMap(value, m, fd, field, wrong)
	case fd.IsList():
		readList(value, m, fd, field, wrong)
	case fd.Kind() == protoreflect.MessageKind:
		readMessage(value, m.Mutable(fd).Message(), field, wrong)
	case fd.Kind() == protoreflect.EnumKind:
		wrong.add(field, "%s", expected(fd))
		// No value's number: 0 would make validation apply the rules of a kind that nobody asked for.
		m.Set(fd, protoreflect.ValueOfEnum(-1))
	default:
		wrong.add(field, "%s", expected(fd))
	}
}

func readList(value json.RawMessage, m protoreflect.Message, fd protoreflect.FieldDescriptor, field string, wrong *faults) {
	if kindOf(value) != '[' {
		wrong.add(field, "must be a list")
		return
	}
	list := m.Mutable(fd).List()
	eachElement(value, func(i int, element json.RawMessage) {
		if piece, ok := readPiece(m, fd, json.RawMessage("["+string(element)+"]")); ok {
			list.Append(piece.Get(fd).List().Get(0))
			return
		}
		// A wrong element keeps its place, so that later ones keep their index in further faults.
		if place := fmt.Sprintf("%s[%d]", field, i); fd.Kind() == protoreflect.MessageKind {
			readMessage(element, list.AppendMutable().Message(), place, wrong)
		} else {
			list.Append(list.NewElement())
			wrong.add(place, "%s", expected(fd))
		}
	})
}

func readMap(value json.RawMessage, m protoreflect.Message, fd protoreflect.FieldDescriptor, field string, wrong *faults) {
	if kindOf(value) != '{' {
		wrong.add(field, "must be an object")
		return
	}
	entries := m.Mutable(fd).Map()
	seen := map[string]bool{}
	eachMember(value, func(name string, element json.RawMessage) {
		if seen[name] {
			wrong.add(mapPlace(field, name), "is given twice")
			return
		}
		seen[name] = true
		key, err := json.Marshal(name)
		if err != nil {
			panic(err) // a string always has a JSON form
		}
		piece, ok := readPiece(m, fd, json.RawMessage("{"+string(key)+":"+string(element)+"}"))
		if !ok {
			wrong.add(mapPlace(field, name), "%s", expected(fd.MapValue()))
			return
		}
		piece.Get(fd).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			entries.Set(k, v)
			return true
		})
	})
}

// readPiece reads a message that holds the one field.
func readPiece(m protoreflect.Message, fd protoreflect.FieldDescriptor, value json.RawMessage) (protoreflect.Message, bool) {
	piece := m.New()
	err := strict.Unmarshal([]byte(`{"`+fd.JSONName()+`":`+string(value)+`}`), piece.Interface())
	return piece, err == nil
}

// kindOf returns the first byte of a JSON value.
func kindOf(value []byte) byte {
	value = bytes.TrimLeft(value, " \t\r\n")
	if len(value) == 0 {
		return 0
	}
	return value[0]
}

func eachMember(object []byte, each func(name string, value json.RawMessage)) {
	dec := json.NewDecoder(bytes.NewReader(object))
	_, _ = dec.Token() // {
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return // cannot be: the data is valid JSON
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return
		}
		text, _ := name.(string)
		each(text, value)
	}
}

func eachElement(list []byte, each func(i int, value json.RawMessage)) {
	dec := json.NewDecoder(bytes.NewReader(list))
	_, _ = dec.Token() // [
	for i := 0; dec.More(); i++ {
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return // cannot be: the data is valid JSON
		}
		each(i, value)
	}
}

// expected says what a single value of the field looks like.
func expected(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return "must be a string of valid Unicode"
	case protoreflect.BytesKind:
		return "must be a string of base64"
	case protoreflect.BoolKind:
		return "must be true or false"
	case protoreflect.Int32Kind:
		return fmt.Sprintf("must be a whole number from %d to %d", math.MinInt32, math.MaxInt32)
	case protoreflect.Int64Kind:
		return fmt.Sprintf("must be a whole number from %d to %d", math.MinInt64, math.MaxInt64)
	case protoreflect.EnumKind:
		return "must be one of " + enumNames(fd.Enum())
	default:
		return "must be of type " + fd.Kind().String()
	}
}

// enumNames lists the names that a publisher may write.
func enumNames(enum protoreflect.EnumDescriptor) string {
	var names []string
	for i := range enum.Values().Len() {
		if value := enum.Values().Get(i); value.Number() != 0 {
			names = append(names, string(value.Name()))
		}
	}
	return strings.Join(names, ", ")
}

// mapPlace names a map entry. A name that is none is cut before the first strange character: someone may have
// put `NAME=secret` there.
func mapPlace(field, name string) string {
	end := 0
	for end < len(name) && end < 60 && isNameByte(name[end], end) {
		end++
	}
	if end > 0 && end == len(name) {
		return field + "." + name
	}
	return fmt.Sprintf("%s[%q…]", field, name[:end])
}

func isNameByte(c byte, i int) bool {
	return c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9'
}
