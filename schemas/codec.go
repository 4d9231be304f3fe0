package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// decode reads a payload into m and validates it.
//
// The strict reading is the fast path: what it takes holds known fields only. What it refuses is read again
// field by field, which tells a field of a newer version (ignored) from a wrong one (a fault), also where
// protojson's own DiscardUnknown would not: it takes an unknown enum name for 0, so that an action of a newer
// version would be run as RUN.
func decode[M proto.Message](subject string, data []byte, m M, validate func(M, *faults)) (M, error) {
	var none M
	if err := checkSize(subject, data); err != nil {
		return none, err
	}
	var wrong faults
	if strict.Unmarshal(data, m) != nil {
		if err := checkSyntax(subject, data); err != nil {
			return none, err
		}
		proto.Reset(m)
		readMessage(data, m.ProtoReflect(), "", &wrong)
	}
	var broken faults
	validate(m, &broken)
	wrong.follow(broken)
	if err := wrong.err(subject); err != nil {
		return none, err
	}
	return m, nil
}

var strict = protojson.UnmarshalOptions{}

// encode validates m and writes it. The same message gives the same bytes: protojson alone varies its spaces
// from build to build.
func encode[M proto.Message](subject string, m M, validate func(M) error) ([]byte, error) {
	if err := validate(m); err != nil {
		return nil, err
	}
	spaced, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", subject, err)
	}
	var out bytes.Buffer
	out.Grow(len(spaced))
	if err := json.Compact(&out, spaced); err != nil {
		return nil, fmt.Errorf("encode %s: %w", subject, err)
	}
	return out.Bytes(), nil
}
