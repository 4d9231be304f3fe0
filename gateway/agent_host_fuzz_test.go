package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzHostAnswer: whatever a host answers, it ends with one result or one error, and what clients are sent is JSON.
func FuzzHostAnswer(f *testing.F) {
	for _, seed := range []string{
		"{\"done\":false,\"result\":1}\n{\"done\":true}\n", "\n\n{\"error\":\"x\"}", "{\"text\":\"t\",\"binary\":\"AQL/\",\"done\":true,\"close\":{\"code\":4001}}",
		"[1, 2]", "{\"data\":{\"a\":null},\"readonly\":true,\"version\":9}\n", "nope", "", "{\"done\":true,\"done\":false}", "{\"error\":\"\\ud800\"}", "{\"close\":{\"code\":1e3}}",
	} {
		f.Add(200, ndjson, []byte(seed), "1")
		f.Add(200, "application/json; charset=utf-8", []byte(seed), "")
		f.Add(500, "text/html", []byte(seed), "x")
	}
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte, version string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}, versionHeader: {version}}, Body: http.NoBody}
		resp.Body = &nopCloser{bytes.NewReader(body)}
		ended := false
		err := readHostAnswer(resp, func(line hostLine) error {
			if ended {
				t.Fatal("something follows the end")
			}
			ended = line.ends()
			if line.final && line.chunk || line.final && line.failed != nil {
				t.Fatalf("two ends: %+v", line)
			}
			for _, frame := range [][]byte{resultFrame("i", line.result), chunkFrame("i", line.result)} {
				if !json.Valid(frame) {
					t.Fatalf("a client is sent %q", frame)
				}
			}
			if line.failed != nil && (len(*line.failed) > maxErrorText || !utf8.ValidString(*line.failed) || !json.Valid(failureFrame("i", *line.failed))) {
				t.Fatalf("error %q", *line.failed)
			}
			if line.shut != nil && (!sendable(line.shut.code) || len(line.shut.reason) > 123 || !utf8.ValidString(line.shut.reason)) {
				t.Fatalf("close %+v", line.shut)
			}
			if line.data != nil && !json.Valid(line.data) || line.version < 0 {
				t.Fatalf("data %q, version %d", line.data, line.version)
			}
			return nil
		})
		if ended != (err == nil) {
			t.Fatalf("ended %t, error %v", ended, err)
		}
		if err != nil {
			if _, ok := errors.AsType[*hostError](err); !ok {
				t.Fatalf("error %v is none for clients", err)
			}
			if !json.Valid(failureFrame("i", callErrorText("m", err))) {
				t.Fatal("the error is no JSON")
			}
		}
	})
}

// nopCloser is a body that needs no closing.
type nopCloser struct{ *bytes.Reader }

func (*nopCloser) Close() error { return nil }

// FuzzGreeting: what a host says about a connection is taken or refused, and no code is sent that may not be.
func FuzzGreeting(f *testing.F) {
	for _, seed := range []string{`{}`, `{"readonly":true,"protocol":false,"data":1,"messages":["a"],"close":{"code":4001,"reason":"r"}}`, `{"refuse":{"code":1005}}`, `null`, `[]`, `{"close":null}`, `{"close":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		g, err := readGreeting(body)
		if err != nil {
			if !errors.Is(err, errHostOdd) {
				t.Fatal(err)
			}
			return
		}
		for _, shut := range []*hostClose{g.shut, g.refuse} {
			if shut != nil && (!sendable(shut.code) || len(shut.reason) > 123) {
				t.Fatalf("close %+v", shut)
			}
		}
		if g.data != nil && !json.Valid(g.data) {
			t.Fatalf("data %q", g.data)
		}
	})
}

// FuzzCleanQuery: nothing that callers sign in with is left, and everything else is as it was.
func FuzzCleanQuery(f *testing.F) {
	for _, seed := range []string{"", "token=x", "a=1&token=x&b=%zz", "%74oken=x", "&&", "ticket", "tokens=1&Token=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		clean := cleanQuery(raw)
		left, _ := url.ParseQuery(clean) // what cannot be parsed is dropped on both sides
		had, _ := url.ParseQuery(raw)
		for name := range had {
			if signedIn := name == "token" || name == "ticket"; signedIn == left.Has(name) {
				t.Fatalf("%q becomes %q: %s", raw, clean, name)
			}
		}
		if !strings.Contains(raw, "ken") && !strings.Contains(raw, "ick") && !strings.Contains(raw, "%") && clean != raw {
			t.Fatalf("%q becomes %q", raw, clean)
		}
	})
}

// FuzzDeployable: whatever a state is, it is a project or an error for the client.
func FuzzDeployable(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `5`, `{"generatedFilesMap":{"a":{"filePath":"","fileContents":"x"}}}`, `{"generatedFilesMap":[]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		d, err := parseDeployable(state)
		if err != nil {
			if _, ok := errors.AsType[*agentError](err); !ok {
				t.Fatal(err)
			}
			return
		}
		for path, file := range d.Files {
			if file.FilePath == "" && path != "" {
				t.Fatalf("file %q has no path", path)
			}
		}
	})
}
