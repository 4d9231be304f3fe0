package schemas_test

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

var update = flag.Bool("update", false, "write missing golden files and checksums, and rewrite the .faults files")

const frozen = "testdata/v1"

// codec is one message's functions without its type.
type codec struct {
	empty  func() proto.Message
	decode func([]byte) (proto.Message, error)
	encode func(proto.Message) ([]byte, error)
	check  func([]byte) error
}

var codecs = map[string]codec{
	"sandbox_request": codecOf(schemas.DecodeSandboxRequest, schemas.EncodeSandboxRequest, schemas.CheckSandboxRequest,
		func() *gen.SandboxRequest { return &gen.SandboxRequest{} }),
	"state_mutation": codecOf(schemas.DecodeStateMutation, schemas.EncodeStateMutation, schemas.CheckStateMutation,
		func() *gen.StateMutation { return &gen.StateMutation{} }),
	"cleanup_tick": codecOf(schemas.DecodeCleanupTick, schemas.EncodeCleanupTick, schemas.CheckCleanupTick,
		func() *gen.CleanupTick { return &gen.CleanupTick{} }),
	"agent_callback": codecOf(schemas.DecodeAgentCallback, schemas.EncodeAgentCallback, schemas.CheckAgentCallback,
		func() *gen.AgentCallback { return &gen.AgentCallback{} }),
}

func codecOf[M proto.Message](decode func([]byte) (M, error), encode func(M) ([]byte, error), check func([]byte) error, empty func() M) codec {
	return codec{
		empty:  func() proto.Message { return empty() },
		decode: func(data []byte) (proto.Message, error) { return decode(data) },
		encode: func(m proto.Message) ([]byte, error) { return encode(m.(M)) },
		check:  check,
	}
}

// TestFrozenPayloads holds every payload of a released version against the value that it had then.
func TestFrozenPayloads(t *testing.T) {
	for _, file := range payloads(t, frozen) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, data := codecFor(t, file), read(t, file)
			got, err := c.decode(data)
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".json") + ".txtpb"
			if _, err := os.Stat(golden); *update && errors.Is(err, fs.ErrNotExist) {
				write(t, golden, prototext.MarshalOptions{Multiline: true}.Format(got))
			}
			want := c.empty()
			if err := prototext.Unmarshal(read(t, golden), want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("decodes to something else than it did (-then +now):\n%s", diff)
			}
		})
	}
}

// TestFrozenFaults holds every refused payload against its faults. The wording may be improved with -update; the
// fields and what is refused show in review.
func TestFrozenFaults(t *testing.T) {
	for _, file := range payloads(t, frozen+"/invalid") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := codecFor(t, file).decode(read(t, file))
			got := describe(t, err)
			if strings.Contains(got, "shown") || strings.Contains(err.Error(), "shown") {
				t.Errorf("quotes a secret: %s", got)
			}
			golden := strings.TrimSuffix(file, ".json") + ".faults"
			if *update {
				write(t, golden, got)
			}
			if diff := cmp.Diff(string(read(t, golden)), got); diff != "" {
				t.Errorf("faults differ (-then +now):\n%s", diff)
			}
		})
	}
}

// TestFrozenFilesNeverChange holds payloads and values against the checksums that were written when they were
// added. A file here is never changed or removed: add another one.
func TestFrozenFilesNeverChange(t *testing.T) {
	list := filepath.Join(frozen, "SHA256SUMS")
	sums := map[string]string{}
	for line := range strings.Lines(string(read(t, list))) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			t.Fatalf("%s: bad line %q", list, line)
		}
		sums[name] = sum
	}
	present := map[string]bool{}
	err := filepath.WalkDir(frozen, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || file == list || strings.HasSuffix(file, ".faults") {
			return err
		}
		rel, err := filepath.Rel(frozen, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		present[name] = true
		got := fmt.Sprintf("%x", sha256.Sum256(read(t, file)))
		switch want, listed := sums[name]; {
		case !listed && *update:
			sums[name] = got
		case !listed:
			t.Errorf("%s is not in %s: run `go test ./schemas -run Frozen -update`", name, list)
		case want != got:
			t.Errorf("%s was changed: frozen files never change, add another one", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range sums {
		if !present[name] {
			t.Errorf("%s was removed: frozen files stay for ever", name)
		}
	}
	if *update && !t.Failed() {
		var out strings.Builder
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			fmt.Fprintf(&out, "%s  %s\n", sums[name], name)
		}
		write(t, list, out.String())
	}
}

// describe writes an error of a decoder as lines, and checks its kind.
func describe(t *testing.T, err error) string {
	t.Helper()
	if invalid, ok := errors.AsType[*schemas.ValidationError](err); ok {
		var lines strings.Builder
		for _, fault := range invalid.Faults {
			lines.WriteString(fault.String() + "\n")
		}
		return lines.String()
	}
	if syntax, ok := errors.AsType[*schemas.SyntaxError](err); ok {
		return syntax.Error() + "\n"
	}
	t.Fatalf("got %T %v, want a *SyntaxError or a *ValidationError", err, err)
	return ""
}

func payloads(tb testing.TB, dir string) []string {
	tb.Helper()
	files, err := filepath.Glob(dir + "/*.json")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no payloads in %s (%v)", dir, err)
	}
	return files
}

// codecFor finds the codec by the first part of the file's name.
func codecFor(tb testing.TB, file string) codec {
	tb.Helper()
	message, _, _ := strings.Cut(filepath.Base(file), ".")
	c, ok := codecs[message]
	if !ok {
		tb.Fatalf("%s: no message %q", file, message)
	}
	return c
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func write(tb testing.TB, file, text string) {
	tb.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}
