package app_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// talker is an app that prints what it is asked for.
const talker = `require('http').createServer((q, s) => { console.log(decodeURIComponent(q.url.slice(1))); s.end() }).listen(process.env.PORT, '127.0.0.1')`

func TestRunnerLogsErrorsAndAnalysis(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	request := nodeApp(t)
	eslint := `[{\"filePath\":\"/x/a.js\",\"messages\":[{\"ruleId\":\"semi\",\"severity\":2,\"message\":\"Missing semicolon.\",\"line\":1,\"column\":2}]}]`
	request["files"] = []object{
		{"filePath": "package.json", "fileContents": `{"scripts":{"dev":"node server.js","lint":"node lint.js; exit 1"}}`},
		{"filePath": "server.js", "fileContents": talker},
		{"filePath": "lint.js", "fileContents": `console.log("` + eslint + `")`},
		{"filePath": "node_modules/.bin/tsc", "fileContents": "#!/bin/sh\necho \"a.ts(3,4): error TS1005: ';' expected.\"; exit 2\n"},
		{"filePath": "tsconfig.json", "fileContents": "{}"},
	}
	id, preview := w.create(t, request)
	base := "/instances/" + id
	logs := func(query string) string {
		answer := w.good(t, "GET", base+"/logs"+query, nil, "logs")["logs"].(object)
		if _, ok := answer["stderr"].(string); !ok {
			t.Errorf("no logs.stderr in %v", answer)
		}
		return answer["stdout"].(string)
	}
	w.get(t, preview, "/first")
	w.get(t, preview, "/%7B%22level%22:50,%22msg%22:%22it%20broke%22%7D")
	first := logs("")
	for line := range strings.Lines(first) {
		if !regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] \[(stdout|stderr|monitor)\] .*\n$`).MatchString(line) {
			t.Errorf("line %q", line)
		}
	}
	if !strings.Contains(first, "[stdout] first\n") || strings.Contains(logs("?duration=0"), "first") || !strings.Contains(logs("?duration=3600"), "first") {
		t.Errorf("log %q", first)
	}
	if got := logs("?reset=true"); got != first {
		t.Errorf("reset answers %q", got)
	}
	w.get(t, preview, "/second")
	if got := logs("?reset=true&duration=60"); strings.Contains(got, "first") || !strings.Contains(got, "second") {
		t.Errorf("after a reset: %q", got)
	}
	w.bad(t, "GET", base+"/logs?duration=x", nil, "duration")
	w.bad(t, "GET", base+"/logs?reset=maybe", nil, "reset")

	for range 2 { // reading does not clear
		answer := w.good(t, "GET", base+"/errors", nil, "errors", "hasErrors")
		list := answer["errors"].([]any)
		if len(list) != 1 || answer["hasErrors"] != true {
			t.Fatalf("errors %v", answer)
		}
		e := list[0].(object)
		if e["message"] != "it broke" || e["level"] != 50.0 || e["rawOutput"] == nil || !strings.HasSuffix(e["timestamp"].(string), "Z") {
			t.Errorf("error %v", e)
		}
	}
	w.good(t, "DELETE", base+"/errors", nil)
	if answer := w.good(t, "GET", base+"/errors", nil, "errors", "hasErrors"); len(answer["errors"].([]any)) != 0 || answer["hasErrors"] != false {
		t.Errorf("errors after clearing: %v", answer)
	}

	w.commands(t, id, nil, "chmod +x node_modules/.bin/tsc")
	analysis := w.good(t, "GET", base+"/analysis?files=src/a.ts,c.ts", nil, "lint", "typecheck")
	for kind, want := range map[string]object{
		"lint":      {"message": "Missing semicolon.", "filePath": "/x/a.js", "line": 1.0, "column": 2.0, "severity": "error", "ruleId": "semi", "source": "eslint"},
		"typecheck": {"message": "';' expected.", "filePath": "a.ts", "line": 3.0, "column": 4.0, "severity": "error", "ruleId": "TS1005", "source": "typescript"},
	} {
		issues := analysis[kind].(object)["issues"].([]any)
		if len(issues) != 1 {
			t.Errorf("%s: %v", kind, analysis[kind])
			continue
		}
		for field, value := range want {
			if issues[0].(object)[field] != value {
				t.Errorf("%s: %s is %v, want %v", kind, field, issues[0].(object)[field], value)
			}
		}
	}
	w.write(t, id, "", "lint.js", "console.log('no JSON')", "node_modules/.bin/tsc", "#!/bin/sh\necho nonsense\n")
	analysis = w.good(t, "GET", base+"/analysis", nil, "lint", "typecheck")
	for _, kind := range []string{"lint", "typecheck"} {
		if issues := analysis[kind].(object)["issues"].([]any); len(issues) != 0 {
			t.Errorf("%s: %v", kind, issues)
		}
	}

	w.good(t, "POST", "/logs", object{"logName": "a", "log": "b"})
	w.bad(t, "POST", "/logs", object{"log": strings.Repeat("x", 65<<10)}, "larger than")
	w.good(t, "DELETE", base, nil)
	w.gone(t, id)
	for _, call := range [][2]string{{"GET", "/logs"}, {"GET", "/errors"}, {"DELETE", "/errors"}, {"GET", "/analysis"}} {
		if status := w.bad(t, call[0], base+call[1], nil, "Network connection lost"); status != http.StatusGone {
			t.Errorf("%s: %d", call, status)
		}
	}
}
