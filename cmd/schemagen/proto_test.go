package main

import (
	"strings"
	"testing"
)

// TestSubset compiles files that are, and are not, fit to be a topic's schema.
func TestSubset(t *testing.T) {
	t.Parallel()
	const head = "syntax = \"proto3\";\npackage p;\noption go_package = \"x/gen;gen\";\n"
	for name, test := range map[string]struct{ source, want string }{
		"fit":             {head + `message A { message B { int32 n = 1; } enum E { ZERO = 0; } B b = 1; E e = 2; map<string, string> m = 3; optional int64 o = 4; }`, ""},
		"not proto":       {`hello`, `a.proto:1:1: syntax error: unexpected identifier`},
		"unknown type":    {head + `message A { B b = 1; }`, `a.proto:4:13: field p.A.b: unknown type B`},
		"proto2":          {`syntax = "proto2"; message A { optional string s = 1; }`, "a.proto: syntax must be proto3"},
		"imports":         {head + "import \"google/protobuf/timestamp.proto\";\nmessage A { google.protobuf.Timestamp t = 1; }", "a.proto: imports [google/protobuf/timestamp.proto]: a topic's schema is one file"},
		"two messages":    {head + `message A {} message B {}`, "a.proto: has 2 top-level messages, a topic's schema has exactly 1"},
		"no message":      {head, "a.proto: has 0 top-level messages, a topic's schema has exactly 1"},
		"top-level enum":  {head + `enum E { ZERO = 0; } message A { E e = 1; }`, "a.proto: has a top-level enum: put it inside the message"},
		"service":         {head + `message A {} service S { rpc Do(A) returns (A); }`, "a.proto: has a service, which a topic's schema cannot hold"},
		"too long":        {head + "message A {}" + strings.Repeat("\n", 300_000), "a.proto: is 300075 bytes long, a topic's schema is at most 300000"},
		"several at once": {`syntax = "proto2"; message A {} message B {}`, "a.proto: syntax must be proto3\na.proto: has 2 top-level messages, a topic's schema has exactly 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, "a.proto", test.source)
			protos, err := compile(t.Context(), dir)
			switch {
			case test.want == "" && (err != nil || len(protos) != 1):
				t.Errorf("got %v", err)
			case test.want != "" && (err == nil || err.Error() != test.want):
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}
