package sandbox_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vibesdk-gcp/platform/sandbox"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	// Frozen: ids of requests must be the same in every version.
	if got := sandbox.IDFor("request-1"); got != "sbx-dhyqms3btve5gu4s" {
		t.Errorf("IDFor = %s", got)
	}
	for _, id := range []string{"", "sbx-", "sbx-AAAAAAAAAAAAAAAA", "sbx-aaaaaaaaaaaaaaa1", "../aaaaaaaaaaaaaaaa", "sbx-aaaaaaaaaaaaaaaaa", "sbx-aaaaaaaaaaaaaaaa\n"} {
		if sandbox.ValidID(id) {
			t.Errorf("%q counts as an id", id)
		}
	}
	if !sandbox.ValidID(sandbox.IDFor("")) {
		t.Error("the id of the empty request is not valid")
	}
	token := regexp.MustCompile(`^[a-z2-7]{16}$`)
	control := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	seen := map[string]bool{}
	for range 1000 {
		a, b := sandbox.NewToken(), sandbox.NewControlToken()
		if !token.MatchString(a) || !control.MatchString(b) || seen[a] || seen[b] {
			t.Fatalf("tokens %q, %q", a, b)
		}
		seen[a], seen[b] = true, true
	}
}

func goodSpec() sandbox.Spec {
	return sandbox.Spec{
		ProjectName: "Café", Install: "a", Build: "b", StaticDir: ".", Env: map[string]string{"_A1": "x\ny"},
		Source: sandbox.Source{Files: []sandbox.File{{Path: "a/b c.txt"}, {Path: "a.txt"}}},
	}
}

func TestSpecValidate(t *testing.T) {
	t.Parallel()
	if err := goodSpec().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*sandbox.Spec){
		"project name has 101 bytes, at most 100":  func(s *sandbox.Spec) { s.ProjectName = strings.Repeat("x", 101) },
		"project name has control":                 func(s *sandbox.Spec) { s.ProjectName = "a\x00b" },
		"install command has 32769 bytes":          func(s *sandbox.Spec) { s.Install = strings.Repeat("x", 32769) },
		"build command has a NUL":                  func(s *sandbox.Spec) { s.Build = "a\x00" },
		"exactly one of dev command and static":    func(s *sandbox.Spec) { s.Dev = "x" },
		"exactly one of dev":                       func(s *sandbox.Spec) { s.StaticDir = "" },
		`static dir "../x" must be a relative`:     func(s *sandbox.Spec) { s.StaticDir = "../x" },
		`static dir "/x"`:                          func(s *sandbox.Spec) { s.StaticDir = "/x" },
		`env name "1A" must match`:                 func(s *sandbox.Spec) { s.Env["1A"] = "" },
		`env name "A=B" must match`:                func(s *sandbox.Spec) { s.Env["A=B"] = "" },
		"SANDBOX_ is the platform's":               func(s *sandbox.Spec) { s.Env["SANDBOX_DIR"] = "/" },
		`env "N" has a NUL byte`:                   func(s *sandbox.Spec) { s.Env["N"] = "secret\x00" },
		`env "L" has 102401 bytes, at most 102400`: func(s *sandbox.Spec) { s.Env["L"] = strings.Repeat("x", 100<<10+1) },
		"bytes, at most 262144": func(s *sandbox.Spec) {
			for _, name := range []string{"A", "B", "C"} {
				s.Env[name] = strings.Repeat("x", 90<<10)
			}
		},
		"exactly one of source files":                   func(s *sandbox.Spec) { s.Source.Files = nil },
		"exactly one of source files and":               func(s *sandbox.Spec) { s.Source.ArchiveURI = "file:///a.tar" },
		"source archive must be a file:// or gs://":     func(s *sandbox.Spec) { s.Source.ArchiveURI = "https://user:secret@host/" },
		`source file "../a" must`:                       func(s *sandbox.Spec) { s.Source.Files[0].Path = "../a" },
		`source file "" must`:                           func(s *sandbox.Spec) { s.Source.Files[0].Path = "" },
		`source file "." must`:                          func(s *sandbox.Spec) { s.Source.Files[0].Path = "." },
		`source file "a.txt" is given twice`:            func(s *sandbox.Spec) { s.Source.Files[0].Path = "a.txt" },
		"source has 20001 files":                        func(s *sandbox.Spec) { s.Source.Files = make([]sandbox.File, 20001) },
		"source files have 8388609 bytes, at most 8388": func(s *sandbox.Spec) { s.Source.Files[0].Data = make([]byte, 8<<20+1) },
	} {
		s := goodSpec()
		s.Source.Files = slices.Clone(s.Source.Files)
		spoil(&s)
		err := s.Validate()
		if !errors.Is(err, sandbox.ErrInvalid) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	all := sandbox.Spec{ProjectName: "\n", Env: maps.Collect(maps.All(map[string]string{"-": ""}))}
	for _, want := range []string{"project name", "dev command", "env name", "source"} {
		if err := all.Validate(); !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
