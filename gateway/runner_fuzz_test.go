package gateway

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vibesdk-gcp/platform/deployment"
)

// FuzzInstanceBody: whatever a caller sends as a body, it is decoded or refused with a text that names none of our types.
func FuzzInstanceBody(f *testing.F) {
	for _, body := range []string{
		"", "null", "[]", "{", `{"files":[{"filePath":"a","fileContents":"b"}],"projectName":"p","envVars":{"A":"b"},"initCommand":"bun run dev"}`,
		`{"files":{}}`, `{"files":[1]}`, `{"envVars":{"A":1}}`, `{"commands":"ls"}`, `{"commands":["ls"],"timeout":1e400}`, `{"request":{"token":[]}}`, `{"logName":1}`, "\xff",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, into := range []any{
			&instanceRequest{},
			&struct {
				Files         []instanceFile `json:"files"`
				CommitMessage string         `json:"commitMessage"`
			}{},
			&struct {
				Commands []string `json:"commands"`
				Timeout  float64  `json:"timeout"`
			}{},
			&struct {
				Request pushRequest    `json:"request"`
				Files   []instanceFile `json:"files"`
			}{},
			&struct {
				ProjectName string `json:"projectName"`
			}{},
		} {
			r := httptest.NewRequest(http.MethodPost, "/instances", strings.NewReader(body))
			err := readInstanceBody(httptest.NewRecorder(), r, into)
			if (err == nil) != (json.Unmarshal([]byte(body), reflect.New(reflect.TypeOf(into).Elem()).Interface()) == nil) {
				t.Fatalf("%q into %T: %v", body, into, err)
			}
			if err == nil {
				continue
			}
			p := problemOf(err)
			if p.Status != http.StatusBadRequest || p.Detail == "" || strings.Contains(p.Detail, "Go ") || strings.Contains(p.Detail, "gateway.") {
				t.Fatalf("%q: %d %s", body, p.Status, p.Detail)
			}
		}
	})
}

// FuzzInstancePath: a path that is taken stays in the project, is clean, and is taken again as it is.
func FuzzInstancePath(f *testing.F) {
	for _, name := range []string{"", ".", "/", "a", "/a/b", "./a", "a/../b", "../a", "a/../../b", "a\x00b", `a\b`, "a//b/", "\xff", "..a"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := instancePath(name)
		if err != nil {
			if problemOf(err).Status != http.StatusBadRequest {
				t.Fatalf("%q: %v", name, err)
			}
			return
		}
		again, err := instancePath(clean)
		if err != nil || again != clean || !fs.ValidPath(clean) || clean == "." || slices.Contains(strings.Split(clean, "/"), "..") {
			t.Fatalf("%q is taken as %q, and that as %q, %v", name, clean, again, err)
		}
	})
}

// FuzzNamedFiles: the query of a call for files is a list of texts or refused; what was given is never taken for nothing.
func FuzzNamedFiles(f *testing.F) {
	for _, query := range []string{"", "null", "[]", `["a","../b"]`, `[1]`, `{"a":1}`, `["a"`, `["\ud800"]`} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		names, err := namedFiles(query)
		var want []string
		valid := json.Unmarshal([]byte(query), &want) == nil
		switch {
		case query == "" && (names != nil || err != nil):
			t.Fatalf("none: %v, %v", names, err)
		case query != "" && valid && len(want) <= maxNamed && (err != nil || names == nil || !slices.Equal(names, want)):
			t.Fatalf("%q: %v, %v", query, names, err)
		case query != "" && !valid && err == nil:
			t.Fatalf("%q is read as %v", query, names)
		}
	})
}

// FuzzPathList: a list that a project holds gives clean paths or nothing.
func FuzzPathList(f *testing.F) {
	for _, body := range []string{"", "null", "[]", `["a","../b","/c"]`, `[1,"a"]`, `{}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, name := range parsePathList(body) {
			if clean, err := instancePath(name); err != nil || clean != name {
				t.Fatalf("%q is no path of a project: %v", name, err)
			}
		}
	})
}

// FuzzWholeLines: what is answered of a log are its whole lines, and what was read of it is known to the byte.
func FuzzWholeLines(f *testing.F) {
	for _, log := range []string{"", "\n", "one", "one\n", "one\ntwo\nthr", "\xff\n"} {
		f.Add(log, 1)
	}
	f.Add("0123456789\n", 200_000)
	f.Fuzz(func(t *testing.T, log string, times int) {
		if times %= 300_000; times > 1 && len(log) < 64 {
			log = strings.Repeat(log, times)
		}
		text, read, err := wholeLines(strings.NewReader(log))
		whole := log[:strings.LastIndexByte(log, '\n')+1]
		if err != nil || read != int64(len(whole)) || !strings.HasSuffix(whole, string(text)) || len(text) > maxLogs {
			t.Fatalf("of %d bytes, %d in whole lines: %d answered, %d read, %v", len(log), len(whole), len(text), read, err)
		}
		if cut := len(whole) - len(text); cut > 0 && (len(whole) <= maxLogs || whole[cut-1] != '\n') {
			t.Fatalf("%d bytes of %d are left out", cut, len(whole))
		}
	})
}

// FuzzMonitorLines: each line of a log is shown as one line of valid text, and lines of the known form keep what they say.
func FuzzMonitorLines(f *testing.F) {
	f.Add("[2026-01-02T03:04:05.123456789Z] [stdout] one", "hello", int64(0))
	f.Add("odd", "] [x", int64(1))
	f.Add("[", "\xff", int64(-1))
	f.Fuzz(func(t *testing.T, line, said string, at int64) {
		if lines := monitorLines([]byte(line+"\n"), time.Time{}); !utf8.ValidString(lines) || strings.Count(lines, "\n") != strings.Count(line, "\n")+1 {
			t.Fatalf("%q is shown as %q", line, lines)
		}
		if strings.ContainsAny(said, "\r\n") || !utf8.ValidString(said) {
			return
		}
		when := time.Unix(at%4_000_000_000, 0).UTC()
		if when.Year() < 0 {
			return
		}
		for stream, want := range map[string]string{"stdout": "stdout", "stderr": "stderr", "system": "monitor"} {
			got, kind, text := logLine("[" + when.Format(time.RFC3339Nano) + "] [" + stream + "] " + said)
			if !got.Equal(when) || kind != want || text != said {
				t.Fatalf("%q at %s is read as %q at %s, %s", said, when, text, got, kind)
			}
		}
	})
}

// contractual fails unless a check can be answered: severities that callers know, valid JSON, and a summary that adds up.
func contractual(t *testing.T, output string, c Check) {
	t.Helper()
	encoded, err := json.Marshal(c)
	if err != nil || c.Issues == nil || c.Summary.ErrorCount+c.Summary.WarningCount+c.Summary.InfoCount != len(c.Issues) || !utf8.Valid(encoded) {
		t.Fatalf("%q: %+v, %v", output, c, err)
	}
	for _, issue := range c.Issues {
		if !slices.Contains([]string{"error", "warning", "info"}, issue.Severity) || issue.Source == "" {
			t.Fatalf("%q: %+v", output, issue)
		}
	}
}

// FuzzParseLint: whatever a linter prints, there is an answer.
func FuzzParseLint(f *testing.F) {
	for _, output := range []string{
		"", "[", "[]", "x\n[]", `[{"filePath":"/p/a","messages":[{"severity":2,"line":-1}]}]`, `[{"messages":[{"severity":1.5}]}]`, "[1]", "\xff\n[",
		`[{"filePath":"a","messages":null},null]`, "> lint\n> eslint\n\n" + `[{"filePath":"a","messages":[{"ruleId":null,"severity":1,"message":"m","line":1,"column":2}]}]` + "\nnpm error",
	} {
		f.Add(output)
	}
	f.Fuzz(func(t *testing.T, output string) {
		issues, ok := parseLint(output, "/p")
		if !ok && issues != nil {
			t.Fatalf("%q is not understood, and has issues", output)
		}
		contractual(t, output, newCheck(issues, output))
	})
}

// FuzzParseTypes: whatever a compiler prints, there is an answer, and a finding of the known form is in it.
func FuzzParseTypes(f *testing.F) {
	f.Add("a.ts(1,2): error TS1: x\n  more\n", "src/a (1).ts", uint16(3), uint16(4), "Type 'a'.")
	f.Add("(,): error TS", "/p/a.ts", uint16(0), uint16(0), "")
	f.Fuzz(func(t *testing.T, output, file string, line, column uint16, message string) {
		contractual(t, output, newCheck(parseTypes(output, "/p"), output))
		if file == "" || strings.ContainsAny(file+message, "\r\n") || typeLine.MatchString(message) || strings.Contains(file, "): ") {
			return
		}
		printed := file + "(" + decimal(line) + "," + decimal(column) + "): error TS1: " + message
		issues := parseTypes(output+"\n"+printed+"\n", "/p")
		want := Issue{message, relative(file, "/p"), int(line), int(column), "error", "TS1", "typescript"}
		if len(issues) == 0 || issues[len(issues)-1] != want {
			t.Fatalf("%q is read as %+v, want %+v", printed, issues, want)
		}
	})
}

func decimal(n uint16) string { text, _ := json.Marshal(n); return string(text) }

// FuzzShellQuote: a shell reads back what was quoted.
func FuzzShellQuote(f *testing.F) {
	for _, text := range []string{"", "it's", "$HOME `id` \\ \"", "\x00", "\xff\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 64<<10 {
			return
		}
		got, err := exec.Command("/bin/sh", "-c", "printf %s "+shellQuote(text)).Output()
		if err != nil || string(got) != strings.ReplaceAll(text, "\x00", "") {
			t.Fatalf("a shell reads %q: %v", got, err)
		}
	})
}

// FuzzDevCommand: a command that is run by another program is of plain words; all others stay as they are.
func FuzzDevCommand(f *testing.F) {
	for _, asked := range []string{"", " ", "bun run dev", "bun run dev --port 1", "bun run dev; rm x", "bun run dev\nrm x", "node x.js", "bun run $(x)"} {
		f.Add(asked)
	}
	plain := regexp.MustCompile(`^[A-Za-z0-9 :_./=-]+$`)
	f.Fuzz(func(t *testing.T, asked string) {
		got := devCommand(asked)
		trimmed := strings.TrimSpace(asked)
		if trimmed == "" {
			trimmed = "bun run dev"
		}
		if got != trimmed && (!plain.MatchString(trimmed) || got != withBun("exec "+trimmed, got[strings.Index(got, "else ")+len("else "):len(got)-len("; fi")])) {
			t.Fatalf("%q becomes %q", asked, got)
		}
	})
}

// FuzzInstallCommand: no value of a variable is in the command, and no name that is not one of a variable.
func FuzzInstallCommand(f *testing.F) {
	f.Add("A", "a very secret value")
	f.Add("A; rm x", "'\"`")
	f.Fuzz(func(t *testing.T, name, value string) {
		got := installCommand(map[string]string{name: value})
		base := installCommand(nil)
		if !variable.MatchString(name) || dotenvQuote(value) == "" {
			if got != base {
				t.Fatalf("%q=%q is in the command: %s", name, value, got)
			}
			return
		}
		if got == base || got != installCommand(map[string]string{name: map[string]string{"'": "", `\"`: "'", "\\`": `'"`}[dotenvQuote(value)]}) {
			t.Fatalf("the command for %q depends on the value %q: %s", name, value, got)
		}
	})
}

// FuzzAppName: the name of an app is a DNS label, or there is none.
func FuzzAppName(f *testing.F) {
	for _, project := range []string{"", "_._", "Shop_1-", strings.Repeat("x-", 60), "ümlaut", "\xff"} {
		f.Add(project)
	}
	f.Fuzz(func(t *testing.T, project string) {
		if name := appName(project); name != "" && (!deployment.ValidAppName(name) || appName(name) != name) {
			t.Fatalf("%q becomes %q", project, name)
		}
	})
}

// FuzzPushRequest: a push that is taken goes to one place over TLS, and a refusal repeats neither token nor address.
func FuzzPushRequest(f *testing.F) {
	for _, address := range []string{"", "https://github.com/a/b.git", "http://github.com/a", "http://localhost:1/a", "https://u:topsecret@h/a", "https://h/a?topsecret", "ssh://h/a", "https://h/ a", "--upload-pack=x"} {
		f.Add(address, "ghp_topsecret")
	}
	f.Fuzz(func(t *testing.T, address, token string) {
		err := pushRequest{CloneURL: address, Token: token}.check()
		if err != nil {
			if text := problemOf(err).Detail; len(token) > 30 && strings.Contains(text, token) || len(address) > 30 && strings.Contains(text, address) {
				t.Fatalf("the refusal tells a secret: %s", text)
			}
			return
		}
		u, err := url.Parse(address)
		if err != nil || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && !loopbackHost(u.Host) || strings.HasPrefix(address, "-") || token == "" || strings.ContainsAny(token, " \n\x00") {
			t.Fatalf("a push to %q with %q is taken", address, token)
		}
	})
}

// FuzzPack: an archive has the files that went in, and the same files make the same bytes.
func FuzzPack(f *testing.F) {
	f.Add("a", "1", "b/c", "2")
	f.Add("ä", "\x00\xff", strings.Repeat("d/", 80)+"e", "")
	f.Fuzz(func(t *testing.T, name1, text1, name2, text2 string) {
		files := map[string]string{}
		for name, text := range map[string]string{name1: text1, name2: text2} {
			if clean, err := instancePath(name); err == nil {
				files[clean] = text
			}
		}
		packed, err := pack(files)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := pack(files); err != nil || !bytes.Equal(packed, again) {
			t.Fatalf("the same files make other bytes, %v", err)
		}
		unzipped, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for archive := tar.NewReader(unzipped); ; {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			got[h.Name] = string(body)
		}
		if !reflect.DeepEqual(got, files) {
			t.Fatalf("packed %q, found %q", files, got)
		}
	})
}
