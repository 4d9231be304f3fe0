package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// shape is the form of an object: each field with what it holds. A name that ends with ? may be absent, and is of its kind
// otherwise: null is none. Fields that are not named are allowed and are dropped.
type shape map[string]kind

// kind is "string", "number", "boolean", a shape, a []shape for a list of objects, or a []string for one of the texts.
type kind any

// Forms of answers that VibeSDK's client requires; what lacks a field counts as a failure there.
var (
	codeIssues = shape{
		"issues": []shape{{
			"message": "string", "filePath": "string", "line": "number", "column?": "number", "severity": []string{"error", "warning", "info"},
			"ruleId?": "string", "source?": "string",
		}},
		"summary?":   shape{"errorCount": "number", "warningCount": "number", "infoCount": "number"},
		"rawOutput?": "string",
	}
	instanceDetails = shape{
		"runId": "string", "templateName": "string", "startTime": "string", "uptime": "number", "previewURL?": "string", "tunnelURL?": "string",
		"directory": "string", "serviceDirectory": "string", "processId?": "string",
	}
	contract = map[string]shape{
		"POST /instances":     {"success": "boolean", "runId?": "string", "previewURL?": "string", "tunnelURL?": "string", "processId?": "string", "message?": "string", "error?": "string"},
		"GET /instances":      {"success": "boolean", "instances": []shape{instanceDetails}, "count": "number", "error?": "string"},
		"GET /instances/x":    {"success": "boolean", "instance?": instanceDetails, "error?": "string"},
		"DELETE /instances/x": {"success": "boolean", "message?": "string", "error?": "string"},
		"GET /instances/x/status": {
			"success": "boolean", "pending": "boolean", "isHealthy": "boolean", "message?": "string", "previewURL?": "string", "tunnelURL?": "string",
			"processId?": "string", "error?": "string",
		},
		"POST /instances/x/files": {
			"success": "boolean", "message?": "string", "results": []shape{{"file": "string", "success": "boolean", "error?": "string"}}, "error?": "string",
		},
		"GET /instances/x/files": {
			"success": "boolean", "files": []shape{{"filePath": "string", "fileContents": "string"}}, "errors?": []shape{{"file": "string", "error": "string"}}, "error?": "string",
		},
		"POST /instances/x/commands": {
			"success": "boolean", "message?": "string", "error?": "string",
			"results": []shape{{"command": "string", "success": "boolean", "output": "string", "error?": "string", "exitCode?": "number"}},
		},
		"GET /instances/x/errors": {
			"success": "boolean", "hasErrors": "boolean", "error?": "string",
			"errors": []shape{{"timestamp": "string", "level": "number", "message": "string", "rawOutput": "string"}},
		},
		"DELETE /instances/x/errors": {"success": "boolean", "message?": "string", "error?": "string"},
		"GET /instances/x/analysis":  {"success": "boolean", "lint": codeIssues, "typecheck": codeIssues, "error?": "string"},
		"POST /instances/x/deploy":   {"success": "boolean", "message": "string", "deployedUrl?": "string", "deploymentId?": "string", "output?": "string", "error?": "string"},
		"GET /instances/x/logs":      {"success": "boolean", "logs": shape{"stdout": "string", "stderr": "string"}, "error?": "string"},
		"POST /instances/x/name":     {},
		"POST /logs":                 {},
	}
)

// check lists what of a value is not as the shape has it, and returns the value with the named fields alone.
func (s shape) check(at string, value any) (kept object, faults []string) {
	given, ok := value.(object)
	if !ok {
		return nil, []string{fmt.Sprintf("%s is %T and no object", at, value)}
	}
	kept = object{}
	for name, want := range s {
		name, optional := strings.CutSuffix(name, "?")
		v, present := given[name]
		if !present {
			if !optional {
				faults = append(faults, at+"."+name+" is missing")
			}
			continue
		}
		k, more := checkKind(at+"."+name, want, v)
		kept[name], faults = k, append(faults, more...)
	}
	return kept, faults
}

func checkKind(at string, want kind, v any) (kept any, faults []string) {
	wrong := []string{fmt.Sprintf("%s is %T", at, v)}
	switch want := want.(type) {
	case shape:
		return want.check(at, v)
	case []shape:
		list, ok := v.([]any)
		if !ok {
			return v, wrong
		}
		all := []any{}
		for i, one := range list {
			k, more := want[0].check(fmt.Sprintf("%s[%d]", at, i), one)
			all, faults = append(all, k), append(faults, more...)
		}
		return all, faults
	case []string:
		for _, text := range want {
			if v == text {
				return v, nil
			}
		}
		return v, []string{fmt.Sprintf("%s is %v", at, v)}
	}
	_, isText := v.(string)
	_, isNumber := v.(float64)
	_, isBoolean := v.(bool)
	if want == "string" && isText || want == "number" && isNumber || want == "boolean" && isBoolean {
		return v, nil
	}
	return v, wrong
}

// remote is VibeSDK's client of its remote sandbox service, made from the contract: its headers, how it writes addresses, and how it
// fails. It never looks at anything but status and body.
type remote struct {
	w   *world
	key string
}

// request is one call. A status that is no success becomes {success:false, error:<body>}; so does an answer that breaks the contract,
// which a test reports.
func (c *remote) request(t testing.TB, method, path string, body any) object {
	t.Helper()
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(within(t), method, "http://"+c.w.Addr()+path, sent)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("X-Session-Id", "0b9f7c1e-session")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		if len(text) == 0 {
			t.Errorf("%s %s: %d with an empty body, which counts as no error", method, path, resp.StatusCode)
		}
		return object{"success": false, "error": string(text)}
	}
	var answer any
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s answers %q, which is no JSON", method, path, text)
	}
	path, _, _ = strings.Cut(path, "?")
	if parts := strings.SplitN(path, "/", 4); len(parts) > 2 && parts[1] == "instances" {
		parts[2] = "x"
		path = strings.Join(parts, "/")
	}
	form, ok := contract[method+" "+path]
	if !ok {
		t.Fatalf("the contract has no %s %s", method, path)
	}
	if len(form) == 0 { // it is not checked, and all of it is used
		return answer.(object)
	}
	kept, faults := form.check("answer", answer)
	if len(faults) > 0 {
		t.Errorf("%s %s breaks the contract: %s\n%s", method, path, strings.Join(faults, "; "), text)
		return object{"success": false, "error": "Failed to validate response"}
	}
	return kept
}

// must is a call that has to succeed.
func (c *remote) must(t testing.TB, method, path string, body any) object {
	t.Helper()
	answer := c.request(t, method, path, body)
	if answer["success"] != true {
		t.Fatalf("%s %s: %v", method, path, answer)
	}
	return answer
}

// TestContractSeesWhatIsMissing: the client above would notice.
func TestContractSeesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		call, answer string
		good         bool
	}{
		{"GET /instances/x/status", `{"success":true,"pending":false,"isHealthy":true,"more":1}`, true},
		{"GET /instances/x/status", `{"success":true,"isHealthy":true}`, false},
		{"GET /instances/x/status", `{"success":true,"pending":false,"isHealthy":true,"previewURL":null}`, false},
		{"POST /instances/x/files", `{"success":true,"results":[{"file":"a","success":true}]}`, true},
		{"POST /instances/x/files", `{"success":true,"results":[{"file":"a"}]}`, false},
		{"POST /instances/x/files", `{"success":true}`, false},
		{"POST /instances/x/deploy", `{"success":true}`, false},
		{"GET /instances/x/analysis", `{"success":true,"lint":{"issues":[]},"typecheck":{"issues":[{"message":"m","filePath":"f","line":1,"severity":"fatal"}]}}`, false},
		{"GET /instances/x/analysis", `{"success":true,"lint":{"issues":[]},"typecheck":{"issues":null}}`, false},
	} {
		var answer any
		if err := json.Unmarshal([]byte(c.answer), &answer); err != nil {
			t.Fatal(err)
		}
		if _, faults := contract[c.call].check("answer", answer); (len(faults) == 0) != c.good {
			t.Errorf("%s %s: faults %v", c.call, c.answer, faults)
		}
	}
}
