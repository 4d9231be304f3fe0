package schemas

import (
	"fmt"
	"math"
	"slices"
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
	eachMember(data, func(key, value []byte) {
		name := unquote(key)
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
func readField(value []byte, m protoreflect.Message, fd protoreflect.FieldDescriptor, field string, wrong *faults) {
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
		wrong.add(field, "%s", expected(fd, value))
		// No value's number: 0 would make validation apply the rules of a kind that nobody asked for.
		m.Set(fd, protoreflect.ValueOfEnum(-1))
	default:
		wrong.add(field, "%s", expected(fd, value))
	}
}

func readList(value []byte, m protoreflect.Message, fd protoreflect.FieldDescriptor, field string, wrong *faults) {
	if kindOf(value) != '[' {
		wrong.add(field, "must be a list")
		return
	}
	list := m.Mutable(fd).List()
	eachElement(value, func(i int, element []byte) {
		if piece, ok := readPiece(m, fd, slices.Concat([]byte("["), element, []byte("]"))); ok {
			list.Append(piece.Get(fd).List().Get(0))
			return
		}
		// A wrong element keeps its place, so that later ones keep their index in further faults.
		if place := fmt.Sprintf("%s[%d]", field, i); fd.Kind() == protoreflect.MessageKind {
			readMessage(element, list.AppendMutable().Message(), place, wrong)
		} else {
			list.Append(list.NewElement())
			wrong.add(place, "%s", expected(fd, element))
		}
	})
}

func readMap(value []byte, m protoreflect.Message, fd protoreflect.FieldDescriptor, field string, wrong *faults) {
	if kindOf(value) != '{' {
		wrong.add(field, "must be an object")
		return
	}
	entries := m.Mutable(fd).Map()
	seen := map[string]bool{}
	eachMember(value, func(key, element []byte) {
		name := unquote(key)
		if seen[name] {
			wrong.add(mapPlace(field, name), "is given twice")
			return
		}
		seen[name] = true
		piece, ok := readPiece(m, fd, slices.Concat([]byte("{"), key, []byte(":"), element, []byte("}")))
		if !ok {
			wrong.add(mapPlace(field, name), "%s", expected(fd.MapValue(), element))
			return
		}
		piece.Get(fd).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			entries.Set(k, v)
			return true
		})
	})
}

// readPiece reads a message that holds the one field.
func readPiece(m protoreflect.Message, fd protoreflect.FieldDescriptor, value []byte) (protoreflect.Message, bool) {
	piece := m.New()
	err := strict.Unmarshal(slices.Concat([]byte(`{"`+fd.JSONName()+`":`), value, []byte("}")), piece.Interface())
	return piece, err == nil
}

// expected says what a single value of the field should look like, given what was found.
func expected(fd protoreflect.FieldDescriptor, found []byte) string {
	switch fd.Kind() {
	case protoreflect.StringKind:
		if kindOf(found) == '"' {
			return "must be valid Unicode"
		}
		return "must be a string"
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
