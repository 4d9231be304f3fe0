package schemas_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// BenchmarkDecode reads and validates; "protojson" beside each is the same payload read without any rule.
func BenchmarkDecode(b *testing.B) {
	small := run(func(*gen.SandboxRequest) {})
	// Lines of code, with the quotes and line ends that JSON escapes.
	line := "const greeting = \"hello\"; // say it again and again and again and again\n"
	code := func(n, size int) *gen.SandboxRequest_Source {
		s := files(n, 0)
		for _, file := range s.Files {
			file.Content = strings.Repeat(line, size/len(line))
		}
		return s
	}
	project := run(func(m *gen.SandboxRequest) { m.Source, m.Env = code(200, 4<<10), env(20, 40) })
	most := run(func(m *gen.SandboxRequest) { m.Source = code(5000, 1200) })
	for _, bench := range []struct {
		name string
		m    *gen.SandboxRequest
	}{{"small", small}, {"200files", project}, {"5000files", most}} {
		data, err := schemas.EncodeSandboxRequest(bench.m)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("request/"+bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := schemas.CheckSandboxRequest(data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("protojson/"+bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := protojson.Unmarshal(data, &gen.SandboxRequest{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		newer := []byte(strings.Replace(string(data), `{"path"`, `{"mode":420,"path"`, 1))
		b.Run("newer/"+bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(newer)))
			b.ReportAllocs()
			for b.Loop() {
				if err := schemas.CheckSandboxRequest(newer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	mutation, err := schemas.EncodeStateMutation(&gen.StateMutation{
		MutationId: "m", SessionId: "s", Kind: gen.StateMutation_MERGE, Payload: `{"phase":"building","files":12}`,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("mutation/small", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := schemas.CheckStateMutation(mutation); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRefuse reads payloads that are refused, which is the slow way.
func BenchmarkRefuse(b *testing.B) {
	for name, data := range map[string]string{
		"wrong types": `{"requestId":1,"source":{"files":[` + strings.Repeat(`{"path":1},`, 4999) + `{"path":"a"}]},"staticDir":"."}`,
		"cut off":     `{"requestId":"r1","source":{"files":[` + strings.Repeat(`{"path":"a"},`, 4999),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if schemas.CheckSandboxRequest([]byte(data)) == nil {
					b.Fatal("was accepted")
				}
			}
		})
	}
}
