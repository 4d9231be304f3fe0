package schemas_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

func run(change func(*gen.SandboxRequest)) *gen.SandboxRequest {
	m := &gen.SandboxRequest{
		RequestId: "r1",
		Source:    &gen.SandboxRequest_Source{Files: []*gen.SandboxRequest_File{{Path: "index.html", Content: "hello"}}},
		StaticDir: ".",
	}
	change(m)
	return m
}

func files(n, size int) *gen.SandboxRequest_Source {
	s := &gen.SandboxRequest_Source{}
	for i := range n {
		s.Files = append(s.Files, &gen.SandboxRequest_File{Path: fmt.Sprintf("src/dir%d/file%d.ts", i%50, i), Content: strings.Repeat("x", size)})
	}
	return s
}

func env(n, size int) map[string]string {
	e := map[string]string{}
	for i := range n {
		e[fmt.Sprintf("NAME_%03d", i)] = strings.Repeat("v", size)
	}
	return e
}

// TestSandboxRequestLimits tries each limit from both sides.
func TestSandboxRequestLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*gen.SandboxRequest)
		fault  string
	}{
		"request id at limit":    {func(m *gen.SandboxRequest) { m.RequestId = strings.Repeat("r", 200) }, ""},
		"project name at limit":  {func(m *gen.SandboxRequest) { m.ProjectName = strings.Repeat("é", 50) }, ""},
		"project name over":      {func(m *gen.SandboxRequest) { m.ProjectName = strings.Repeat("é", 51) }, "projectName: is 102 bytes long, the limit is 100"},
		"command at limit":       {func(m *gen.SandboxRequest) { m.BuildCommand = strings.Repeat("c", 4096) }, ""},
		"command not UTF-8":      {func(m *gen.SandboxRequest) { m.BuildCommand = "a\xffb" }, "buildCommand: must be valid UTF-8"},
		"path at limit":          {func(m *gen.SandboxRequest) { m.StaticDir = strings.Repeat("d/", 255) + "dd" }, ""},
		"path part at limit":     {func(m *gen.SandboxRequest) { m.StaticDir = strings.Repeat("d", 255) }, ""},
		"dots inside a name":     {func(m *gen.SandboxRequest) { m.StaticDir = "..a/b../...x" }, ""},
		"files at limit":         {func(m *gen.SandboxRequest) { m.Source = files(5000, 0) }, ""},
		"files over":             {func(m *gen.SandboxRequest) { m.Source = files(5001, 0) }, "source.files: has 5001 files, the limit is 5000"},
		"file bytes at limit":    {func(m *gen.SandboxRequest) { m.Source = files(6, 1<<20) }, ""},
		"file bytes over":        {func(m *gen.SandboxRequest) { m.Source = files(6, 1<<20+1) }, "source.files: hold 6291462 bytes, the limit is 6291456"},
		"file content not UTF-8": {func(m *gen.SandboxRequest) { m.Source.Files[0].Content = "\xff" }, "source.files[0].content: must be valid UTF-8: give it as data"},
		"file is nil":            {func(m *gen.SandboxRequest) { m.Source.Files[0] = nil }, "source.files[0].path: is required"},
		"env at limit":           {func(m *gen.SandboxRequest) { m.Env = env(200, 1000) }, ""},
		"env over":               {func(m *gen.SandboxRequest) { m.Env = env(201, 1) }, "env: has 201 names, the limit is 200"},
		"env value at limit":     {func(m *gen.SandboxRequest) { m.Env = env(1, 32<<10) }, ""},
		"env value over":         {func(m *gen.SandboxRequest) { m.Env = env(1, 32<<10+1) }, "env.NAME_000: has a value of 32769 bytes, the limit is 32768"},
		"env value not UTF-8":    {func(m *gen.SandboxRequest) { m.Env = map[string]string{"A": "\xff"} }, "env.A: has a value that is not valid UTF-8"},
		"env bytes over":         {func(m *gen.SandboxRequest) { m.Env = env(9, 32000) }, "env: has 288072 bytes of names and values, the limit is 262144"},
		"env name at limit":      {func(m *gen.SandboxRequest) { m.Env = map[string]string{strings.Repeat("N", 128): ""} }, ""},
		"env name over": {func(m *gen.SandboxRequest) { m.Env = map[string]string{strings.Repeat("N", 129): ""} },
			`env["` + strings.Repeat("N", 60) + `"…]: has a name of 129 bytes, the limit is 128`},
		"times at limit": {func(m *gen.SandboxRequest) { m.TtlSeconds, m.IdleSeconds = 86400, 5 }, ""},
		"address over": {func(m *gen.SandboxRequest) {
			m.Source = &gen.SandboxRequest_Source{ArchiveUri: "gs://b/" + strings.Repeat("o", 2042) + ".zip"}
		}, "source.archiveUri: is 2053 bytes long, the limit is 2048"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := run(test.change)
			err := schemas.ValidateSandboxRequest(m)
			if diff := cmp.Diff(test.fault, faultsOf(t, err)); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
			data, err := schemas.EncodeSandboxRequest(m)
			if got := faultsOf(t, err); got != test.fault {
				t.Fatalf("Encode says %q, Validate %q", got, test.fault)
			}
			if err == nil {
				if err := schemas.CheckSandboxRequest(data); err != nil {
					t.Errorf("reading what was written: %v", err)
				}
			}
		})
	}
}

func TestStateMutationLimits(t *testing.T) {
	t.Parallel()
	put := func(payload string) *gen.StateMutation {
		return &gen.StateMutation{MutationId: "m", SessionId: "s", Kind: gen.StateMutation_PUT, Payload: payload}
	}
	for name, test := range map[string]struct {
		m     *gen.StateMutation
		fault string
	}{
		"payload at limit": {put(`"` + strings.Repeat("x", 8<<20-2) + `"`), ""},
		"payload over": {put(`"` + strings.Repeat("x", 8<<20-1) + `"`),
			"payload: is 8388609 bytes long, the limit is 8388608: give it as payloadUri"},
		"payload not UTF-8": {put("\"\xff\""), "payload: must be JSON text"},
		"path over": {&gen.StateMutation{MutationId: "m", SessionId: "s", Kind: gen.StateMutation_APPEND, Payload: "1", Path: "/" + strings.Repeat("p", 512)},
			"path: is 513 bytes long, the limit is 512"},
		"nil": {nil, "mutationId: is required; sessionId: is required; kind: is required: one of INITIALIZE, PUT, MERGE, PATCH, APPEND, CLONE, DESTROY, SCHEDULE, CANCEL_SCHEDULE, ENQUEUE, DEQUEUE, IMPORT"},
		"ids at limit": {&gen.StateMutation{MutationId: strings.Repeat("é", 64), SessionId: strings.Repeat("s", 128),
			Kind: gen.StateMutation_CLONE, CloneOf: strings.Repeat("c", 128)}, ""},
		"ids not UTF-8": {&gen.StateMutation{MutationId: "\xff", SessionId: "s", Kind: gen.StateMutation_DESTROY}, "mutationId: must be valid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.fault, faultsOf(t, schemas.ValidateStateMutation(test.m))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAgentCallbackLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		m     *gen.AgentCallback
		fault string
	}{
		"at limit":  {&gen.AgentCallback{SessionId: strings.Repeat("s", 128), JobId: strings.Repeat("j", 128), Run: 1<<63 - 1}, ""},
		"over":      {&gen.AgentCallback{SessionId: strings.Repeat("s", 129), JobId: strings.Repeat("j", 129), Run: 1}, "sessionId: is 129 bytes long, the limit is 128; jobId: is 129 bytes long, the limit is 128"},
		"not UTF-8": {&gen.AgentCallback{SessionId: "\xff", JobId: "\xff", Run: 1}, "sessionId: must be valid UTF-8; jobId: must be valid UTF-8"},
		"nil":       {nil, "sessionId: is required; jobId: is required; run: is 0, must be 1 or more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.fault, faultsOf(t, schemas.ValidateAgentCallback(test.m))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestFaultsAreBounded sends more faults than an error lists.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	m := run(func(m *gen.SandboxRequest) {
		m.Source = files(300, 1)
		for _, file := range m.Source.Files {
			file.Path = "/" + file.Path
		}
	})
	invalid, ok := errors.AsType[*schemas.ValidationError](schemas.ValidateSandboxRequest(m))
	if !ok || len(invalid.Faults) != 100 || invalid.More != 200 {
		t.Fatalf("got %v, want 100 faults and 200 more", invalid)
	}
	if !strings.HasSuffix(invalid.Error(), "; and 200 more") {
		t.Errorf("the error does not say that there are more: …%s", invalid.Error()[len(invalid.Error())-60:])
	}
}

// TestTooManyValues sends a payload that would take some thirty times its size in memory.
func TestTooManyValues(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"objects":        `{"source":{"files":[` + strings.Repeat("{},", 250_000) + `{}]}}`,
		"unknown values": `{"later":[` + strings.Repeat("1,", 250_000) + `1]}`,
		"after quotes":   `{"a":"\\","b\"":"[{,","later":[` + strings.Repeat("1,", 250_000) + `1]}`,
	} {
		err := schemas.CheckSandboxRequest([]byte(data))
		if _, ok := errors.AsType[*schemas.SyntaxError](err); !ok || !strings.HasSuffix(err.Error(), "more than 250000 values") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	m := run(func(m *gen.SandboxRequest) { m.Source.Files[0].Content = strings.Repeat(`{[,"\`, 500_000) })
	data, err := schemas.EncodeSandboxRequest(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := schemas.DecodeSandboxRequest(data)
	if err != nil || !proto.Equal(m, got) {
		t.Errorf("text that looks like values was counted: %v", err)
	}
}

// TestNewerFieldBesideEscapes reads a payload of a newer version whose text is full of escapes: reading it field by
// field must stay linear. Were it quadratic, this test would take minutes.
func TestNewerFieldBesideEscapes(t *testing.T) {
	t.Parallel()
	m := run(func(m *gen.SandboxRequest) { m.Source.Files[0].Content = strings.Repeat("\"\n", 1<<20) })
	data, err := schemas.EncodeSandboxRequest(m)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(data), `{"path"`, `{"mode":[1,{"a":"]}\\"}],"path"`, 1)
	got, err := schemas.DecodeSandboxRequest([]byte(newer))
	if err != nil || !proto.Equal(m, got) {
		t.Errorf("differs from what was published (%v)", err)
	}
}

// TestPeekRequestID reads the id of payloads that do not decode.
func TestPeekRequestID(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"requestId":"r1"}`: "r1",
		`{"env":{"requestId":"no"},"request_id":"r2","x":`: "r2",
		`{"requestId":"r3",,,`:                             "r3",
		`{"requestId":7}`:                                  "",
		`{"requestId":"a b"}`:                              "",
		`{"requestId":`:                                    "",
		`{"x" "requestId":"r"}`:                            "",
		`["requestId","r"]`:                                "",
		``:                                                 "",
	} {
		if got := schemas.PeekRequestID([]byte(data)); got != want {
			t.Errorf("%s: got %q, want %q", data, got, want)
		}
	}
}

// TestEncodeIsStable writes a map many times: the same message must give the same bytes.
func TestEncodeIsStable(t *testing.T) {
	t.Parallel()
	m := run(func(m *gen.SandboxRequest) { m.Env = env(50, 3) })
	first, err := schemas.EncodeSandboxRequest(m)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := schemas.EncodeSandboxRequest(proto.Clone(m).(*gen.SandboxRequest))
		if err != nil || string(again) != string(first) {
			t.Fatalf("got %s (%v), want %s", again, err, first)
		}
	}
	want := `{"requestId":"r1","source":{"files":[{"path":"index.html","content":"hello"}]},"staticDir":".","env":{"NAME_000":"vvv"`
	if !strings.HasPrefix(string(first), want) {
		t.Errorf("got %s…, want lowerCamel names without spaces", first[:len(want)])
	}
}

func faultsOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSpace(describe(t, err)), "\n", "; ")
}
