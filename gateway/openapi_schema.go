package gateway

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/session"
)

// schema is a JSON Schema of the 2020-12 dialect, as OpenAPI 3.1 uses it.
type schema map[string]any

var (
	anyJSON    = schema{}
	timeSchema = schema{"type": "string", "format": "date-time"}
)

// enums are the texts that a type of text may be.
var enums = map[reflect.Type]any{
	reflect.TypeFor[sandbox.State]():      []sandbox.State{sandbox.Requested, sandbox.Building, sandbox.Starting, sandbox.Ready, sandbox.Stopping, sandbox.Deleted, sandbox.Failed},
	reflect.TypeFor[sandbox.Phase]():      []sandbox.Phase{sandbox.PhaseBuild, sandbox.PhaseServe},
	reflect.TypeFor[session.JobType]():    []session.JobType{session.JobDelayed, session.JobScheduled, session.JobCron, session.JobInterval, session.JobQueue},
	reflect.TypeFor[ratelimit.Exceeded](): []ratelimit.Exceeded{ratelimit.ExceededMain, ratelimit.ExceededBurst, ratelimit.ExceededDaily},
}

// schemaSet makes schemas of the types that are encoded and decoded, so that the document cannot say other than the code does.
// Structs with a name become components.
type schemaSet struct {
	components map[string]schema
	// types tells who has a name, since two packages may have a type of one name.
	types map[string]any
}

func newSchemaSet() *schemaSet { return &schemaSet{map[string]schema{}, map[string]any{}} }

// of is the schema of a value's type; a schema is itself.
func (s *schemaSet) of(v any) schema {
	switch v := v.(type) {
	case schema:
		return v
	case proto.Message:
		return s.message(v.ProtoReflect().Descriptor())
	default:
		return s.typed(reflect.TypeOf(v))
	}
}

func (s *schemaSet) typed(t reflect.Type) schema {
	if values, ok := enums[t]; ok {
		return schema{"type": "string", "enum": values}
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return timeSchema
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return anyJSON
	case t.Kind() == reflect.Pointer:
		return s.typed(t.Elem())
	case t.Implements(reflect.TypeFor[json.Marshaler]()), reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()):
		panic(fmt.Sprintf("gateway: %s encodes itself: the document needs a schema for it", t))
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return schema{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return schema{"type": "string", "contentEncoding": "base64"}
		}
		return schema{"type": "array", "items": s.typed(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.typed(t.Elem())}
	case reflect.Struct:
		if t.Name() == "" {
			return s.object(t)
		}
		return s.component(t.Name(), t, func() schema { return s.object(t) })
	default:
		panic(fmt.Sprintf("gateway: %s cannot be encoded as JSON", t))
	}
}

// component makes a schema once and refers to it. Of two types with one name the second would overwrite the first: that is
// a mistake of ours.
func (s *schemaSet) component(name string, of any, build func() schema) schema {
	name = strings.ToUpper(name[:1]) + name[1:]
	if have, ok := s.types[name]; ok && have != of {
		panic(fmt.Sprintf("gateway: %v and %v would both be the schema %s", have, of, name))
	} else if !ok {
		s.types[name] = of // before it is built: types may hold themselves
		s.components[name] = build()
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

func (s *schemaSet) object(t reflect.Type) schema {
	properties, required := map[string]schema{}, map[string]bool{}
	s.fields(t, properties, required)
	out := schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = slices.Sorted(maps.Keys(required))
	}
	return out
}

// fields adds the fields of a struct as encoding/json writes them: those of embedded structs unless there is one of the same
// name outside. A field is required when it is always written.
func (s *schemaSet) fields(t reflect.Type, properties map[string]schema, required map[string]bool) {
	var embedded []reflect.Type
	for i := range t.NumField() {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag[0] == "":
			embedded = append(embedded, f.Type)
			continue
		case !f.IsExported() || tag[0] == "-":
			continue
		case tag[0] == "":
			tag[0] = f.Name
		}
		if _, outside := properties[tag[0]]; outside {
			continue
		}
		property := s.typed(f.Type)
		if t == reflect.TypeFor[Problem]() && f.Name == "Type" {
			property = schema{"type": "string", "enum": problemTypes()}
		}
		if slices.Contains(tag[1:], "string") {
			property = schema{"type": "string"}
		}
		properties[tag[0]] = property
		if f.Type.Kind() != reflect.Pointer && !slices.Contains(tag[1:], "omitempty") && !slices.Contains(tag[1:], "omitzero") {
			required[tag[0]] = true
		}
	}
	for _, e := range embedded {
		if e.Kind() == reflect.Pointer {
			e = e.Elem()
		}
		s.fields(e, properties, required)
	}
}

// message is the schema of a message in protobuf's JSON form.
func (s *schemaSet) message(d protoreflect.MessageDescriptor) schema {
	name := strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+".")
	return s.component(name, d.FullName(), func() schema {
		properties := map[string]schema{}
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			properties[f.JSONName()] = s.field(f)
		}
		// Readers pass over what they do not know, and protobuf takes a second spelling of each name.
		return schema{"type": "object", "properties": properties, "additionalProperties": true}
	})
}

func (s *schemaSet) field(f protoreflect.FieldDescriptor) schema {
	switch {
	case f.IsMap():
		return schema{"type": "object", "additionalProperties": s.scalar(f.MapValue())}
	case f.IsList():
		return schema{"type": "array", "items": s.scalar(f)}
	default:
		return s.scalar(f)
	}
}

func (s *schemaSet) scalar(f protoreflect.FieldDescriptor) schema {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return s.message(f.Message())
	case protoreflect.EnumKind:
		var names []string
		for i := range f.Enum().Values().Len() {
			names = append(names, string(f.Enum().Values().Get(i).Name()))
		}
		return schema{"type": "string", "enum": names}
	case protoreflect.BoolKind:
		return schema{"type": "boolean"}
	case protoreflect.StringKind:
		return schema{"type": "string"}
	case protoreflect.BytesKind:
		return schema{"type": "string", "contentEncoding": "base64"}
	case protoreflect.Int32Kind:
		return schema{"type": "integer", "format": "int32"}
	case protoreflect.Int64Kind:
		return schema{"type": []string{"integer", "string"}, "format": "int64"} // written as text, read as either
	default:
		panic(fmt.Sprintf("gateway: the document knows no schema for %s", f.FullName()))
	}
}
