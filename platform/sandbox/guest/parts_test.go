//go:build unix

package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vibesdk-gcp/platform/sandbox"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		glob, name string
		want       bool
	}{
		{"*.ts", "a.ts", true},
		{"*.ts", "src/deep/a.ts", true},
		{"src/*.ts", "src/a.ts", true},
		{"src/*.ts", "src/deep/a.ts", false},
		{"src/**", "src/deep/a.ts", true},
		{"src/**", "src", true},
		{"**/*.ts", "a.ts", true},
		{"**/deep/**/a.*", "src/deep/x/y/a.ts", true},
		{"**/deep/**/a.*", "src/shallow/a.ts", false},
		{"**", "any/thing", true},
		{"[ab]/?", "a/x", true},
		{"a/**/**/**/b", "a/b", true},
	} {
		if got := matchGlob(test.glob, test.name); got != test.want {
			t.Errorf("%q on %q: %v", test.glob, test.name, got)
		}
	}
	if checkGlob("a/[") == nil || checkGlob("a/*") != nil {
		t.Error("a bad pattern is taken, or a good one is not")
	}
	// Takes for ever if the time grows with a power of the stars.
	matchGlob(strings.Repeat("**/a/", 200)+"b", strings.Repeat("a/", 400)+"c")
}

// The output of a session is cut at the marks however the bytes arrive.
func TestSections(t *testing.T) {
	t.Parallel()
	const stream = "one\n\x1eMARK 0\n\x1eMARK 3\ntwo \x1eMAR three\x1eMARK 127\nrest\x1eMARK"
	for size := 1; size <= len(stream); size++ {
		s := newSections("\x1eMARK", 4)
		for rest := stream; rest != ""; {
			n := min(size, len(rest))
			_, _ = s.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		s.Close()
		for i, want := range []struct {
			text   string
			status int
			marked bool
		}{{"one\n", 0, true}, {"", 3, true}, {"two \x1eMAR three", 127, true}, {"rest\x1eMARK", 0, false}} {
			if got := <-s.parts; got.text() != want.text || got.status != want.status || got.marked != want.marked {
				t.Fatalf("writes of %d: part %d is %q, %d, %v", size, i, got.text(), got.status, got.marked)
			}
		}
	}
}

func TestSectionsForged(t *testing.T) {
	t.Parallel()
	s := newSections("\x1eMARK", 1)
	for range 1000 { // must not wait for a reader
		_, _ = s.Write([]byte("\x1eMARK x\n"))
	}
	s.Close()
	if got := <-s.parts; !got.marked || got.status != 0 {
		t.Errorf("%+v", got)
	}
}

func TestExitWords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ script, tail, want string }{
		{"exit 2", "", "build command exited with status 2"},
		{"exit 127", "/bin/sh: 1: npm: not found\n", "build command failed: npm: command not found — exit 127"},
		{"exit 127", "sh: line 1: npm: command not found", "build command failed: npm: command not found — exit 127"},
		{"exit 127", "/bin/sh: npm: not found", "build command failed: npm: command not found — exit 127"},
		{"exit 127", "[x] [stderr] /bin/sh: 2: exec: vite: not found\n", "build command failed: vite: command not found — exit 127"},
		{"exit 127", "nothing told", "build command failed: command not found — exit 127"},
		{"exit 126", "", "build command failed: permission denied or not a program — exit 126"},
		{"exit 137", "", "build command exited with status 137: one of its processes was killed (out of memory?)"},
		{"kill -TERM $$", "", "build command was ended by signal: terminated"},
		{"exit 0", "", "build command exited with status 0"},
	} {
		if got := exitWords("build command", exec.Command("/bin/sh", "-c", test.script).Run(), test.tail); got != test.want {
			t.Errorf("%s: %q, want %q", test.script, got, test.want)
		}
	}
	if got := exitWords("build command", os.ErrPermission, ""); got != "build command could not be started: permission denied" {
		t.Error(got)
	}
}

func TestLoadTask(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(body string) string {
		path := filepath.Join(dir, "task.json")
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := `{"id":"sbx-a","fence":2,"dir":"/work","spec":{"staticDir":"dist","source":{"files":[{"path":"a","data":"aGk="}]},"env":{"A":"b"}}}`
	path := write(good)
	for _, address := range []string{path, "file://" + path} {
		task, err := LoadTask(t.Context(), address, Host{})
		if err != nil || task.Ref != (sandbox.Ref{ID: "sbx-a", Fence: 2}) || string(task.Spec.Source.Files[0].Data) != "hi" {
			t.Errorf("%s: %+v, %v", address, task, err)
		}
	}
	for body, want := range map[string]string{
		`{"id":"../x"`:                                                              "not valid JSON",
		`{"controlToken":"top secret","id":7}`:                                      "has the wrong type",
		`{"id":"../x","controlToken":"top secret"}`:                                 "id \"../x\" does not match",
		strings.Replace(good, `"dist"`, `"../dist"`, 1):                             "spec.staticDir: the path leads outside",
		strings.Replace(good, `"/work"`, `"work"`, 1):                               `dir "work" is not an absolute path`,
		strings.Replace(good, `{"A":"b"}`, `{"A=":"b"}`, 1):                         `name "A=" is not valid`,
		strings.Replace(good, `{"A":"b"}`, `{"A":"top secret\u0000"}`, 1):           "variable A holds a NUL byte",
		strings.Replace(good, `"staticDir"`, `"dev":"x","staticDir"`, 1):            "exactly one of spec.dev and spec.staticDir",
		strings.Replace(good, `"files"`, `"archiveUri":"file:///a.zip","files"`, 1): "exactly one of spec.source.files",
	} {
		_, err := LoadTask(t.Context(), write(body), Host{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "top secret") {
			t.Errorf("%s: %v, want %q and no secret", body, err, want)
		}
	}
	for _, address := range []string{"ftp://host/x", "file://host/x", "s3://b/x", "file:///does/not/exist.json", filepath.Join(dir, "none")} {
		if _, err := LoadTask(t.Context(), address, Host{}); err == nil {
			t.Errorf("%s was read", address)
		}
	}
}
