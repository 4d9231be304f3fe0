package schemas_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/dynamicpb"
)

// refused are payloads that no schema of ours takes.
var refused = []string{``, `not JSON`, `[]`, `{"requestId":{}, "mutationId":{}, "kind":{}, "sessionId":{}}`}

// TestSchemaSourceTakesWhatIsPublished reads our payloads with nothing but the text of the .proto file, which is all that
// a topic's schema has: no generated code, no discarding of unknown fields.
func TestSchemaSourceTakesWhatIsPublished(t *testing.T) {
	t.Parallel()
	for message := range codecs {
		compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{}}
		files, err := compiler.Compile(t.Context(), message+".proto")
		if err != nil {
			t.Fatal(err)
		}
		schema := files[0].Messages().Get(0)
		for file, encoded := range published(t, message) {
			if err := protojson.Unmarshal(encoded, dynamicpb.NewMessage(schema)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		for _, bad := range refused {
			if protojson.Unmarshal([]byte(bad), dynamicpb.NewMessage(schema)) == nil {
				t.Errorf("%s takes %q", schema.FullName(), bad)
			}
		}
	}
}

// published returns the frozen payloads of a message as we write them, by file.
func published(t *testing.T, message string) map[string][]byte {
	t.Helper()
	c, found := codecs[message], map[string][]byte{}
	for _, file := range payloads(t, frozen) {
		if !strings.HasPrefix(filepath.Base(file), message+".") {
			continue
		}
		m, err := c.decode(read(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if found[file], err = c.encode(m); err != nil {
			t.Fatal(err)
		}
	}
	if len(found) == 0 {
		t.Fatalf("no payloads of %s", message)
	}
	return found
}
