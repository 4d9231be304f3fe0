package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// viteProject is an app as people have it: Vite, TypeScript with references, ESLint with the rules for TypeScript, and errors that the
// development server prints as JSON lines.
var viteProject = map[string]string{
	"package.json": `{"name":"v","private":true,"type":"module","scripts":{"dev":"vite --host 127.0.0.1 --port ${PORT:-3000} --strictPort","build":"vite build","lint":"eslint -f json ."},
"devDependencies":{"@eslint/js":"^9","eslint":"^9","typescript":"~5.9","typescript-eslint":"^8","vite":"^7"}}`,
	"eslint.config.js": `import js from '@eslint/js'
import ts from 'typescript-eslint'
export default ts.config({ ignores: ['dist', '*.config.js'] }, js.configs.recommended, ts.configs.recommended, { files: ['**/*.ts'], rules: { 'prefer-const': 'warn' } })
`,
	"vite.config.js": `import { createLogger } from 'vite'
const logger = createLogger()
logger.error = (msg) => console.error(JSON.stringify({ level: 50, time: Date.now(), msg }))
export default { customLogger: logger }
`,
	"tsconfig.json": `{"files":[],"references":[{"path":"./tsconfig.app.json"}]}`,
	"tsconfig.app.json": `{"compilerOptions":{"target":"ES2022","module":"ESNext","moduleResolution":"bundler","lib":["ES2022","DOM"],"strict":true,"noEmit":true,
"tsBuildInfoFile":"./node_modules/.tmp/app.tsbuildinfo","types":["vite/client"],"skipLibCheck":true},"include":["src"]}`,
	"index.html": `<!doctype html><title>v</title><script type="module" src="/src/main.ts"></script>`,
	"src/main.ts": `import { add } from './sum'

const total = add(1, 2)
document.title = ` + "`sum ${total}`" + `
`,
	"src/sum.ts": "export function add(a: number, b: number): number {\n  return a + b\n}\n",
}

// Files with faults, by line and column.
const (
	faultyMain = `import { add } from './sum'

let total = add(1, 2)
document.title = ` + "`sum ${total}`" + `
`
	faultySum = `export function add(a: number, b: number): number {
  const unused: any = 0
  return 'x' + a + b
}

export const word: { a: { b: number } } = { a: { b: 'no' } }
`
)

func filesOf(files map[string]string) []object {
	list := []object{}
	for _, name := range sortedNames(files) {
		list = append(list, object{"filePath": name, "fileContents": files[name]})
	}
	return list
}

func sortedNames(files map[string]string) []string {
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// findings are the issues of a check in short, in order.
func findings(answer object, check string) []string {
	found := []string{}
	for _, one := range answer[check].(object)["issues"].([]any) {
		issue := one.(object)
		found = append(found, fmt.Sprintf("%v:%v:%v %v %v %v", issue["filePath"], issue["line"], issue["column"], issue["severity"], issue["ruleId"], issue["source"]))
	}
	slices.Sort(found)
	return found
}

// TestRunnerContractOnARealProject drives a real project through its life as VibeSDK does, and holds each answer against the contract:
// made, checked, written, commands, logs, errors, analysed by the real ESLint and TypeScript, deployed, deployed again, deleted.
func TestRunnerContractOnARealProject(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Auth.Key = "0123456789abcdef0123456789abcdef"
	c.Runner.Wait = 2 * time.Minute // of packages from the network
	npmEnvironment(t, c.SandboxEnv)
	w := start(t, c)
	vibe := &remote{w, c.Auth.Key}
	if refused := (&remote{w, "wrong"}).request(t, "GET", "/instances", nil); refused["success"] != false || !strings.Contains(refused["error"].(string), "API key") {
		t.Errorf("a wrong key: %v", refused)
	}

	made := vibe.request(t, "POST", "/instances", object{"projectName": "vite-ts", "initCommand": "bun run dev", "envVars": object{}, "files": filesOf(viteProject)})
	if made["success"] != true {
		for _, offline := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "E403", "E404", "ETARGET"} {
			if strings.Contains(made["error"].(string), offline) {
				t.Skipf("the npm registry does not give us the packages: %s", offline)
			}
		}
		t.Fatalf("create: %v", made)
	}
	id, preview := made["runId"].(string), made["previewURL"].(string)
	base := "/instances/" + id
	status := vibe.must(t, "GET", base+"/status", nil)
	if status["isHealthy"] != true || status["pending"] != false || status["previewURL"] != preview {
		t.Errorf("status %v", status)
	}
	if _, _, body := w.get(t, preview, "/"); !strings.Contains(body, "/@vite/client") {
		t.Errorf("page %s", body)
	}
	if list := vibe.must(t, "GET", "/instances", nil); list["count"] != 1.0 || list["instances"].([]any)[0].(object)["runId"] != id {
		t.Errorf("list %v", list)
	}
	vibe.must(t, "GET", base, nil)

	// Nothing is wrong with it yet.
	all := "?files=" + strings.Join(append(sortedNames(viteProject), "src/[id].ts", "100%.ts", "a&b;c.ts"), ",") // as it is sent: not encoded
	clean := vibe.must(t, "GET", base+"/analysis"+all, nil)
	for _, check := range []string{"lint", "typecheck"} {
		if found := findings(clean, check); len(found) != 0 {
			t.Errorf("%s of a clean project: %v", check, clean[check])
		}
	}
	// Then there is.
	wrote := vibe.must(t, "POST", base+"/files", object{"files": []object{
		{"filePath": "src/main.ts", "fileContents": faultyMain}, {"filePath": "/src/sum.ts", "fileContents": faultySum},
	}, "commitMessage": "feat: faults"})
	for _, one := range wrote["results"].([]any) {
		if one.(object)["success"] != true {
			t.Errorf("write: %v", one)
		}
	}
	wantLint := []string{
		"src/main.ts:3:5 warning prefer-const eslint",
		"src/sum.ts:2:17 error @typescript-eslint/no-explicit-any eslint",
		"src/sum.ts:2:9 error @typescript-eslint/no-unused-vars eslint",
	}
	wantTypes := []string{"src/sum.ts:3:3 error TS2322 typescript", "src/sum.ts:6:50 error TS2322 typescript"}
	for name, script := range map[string]bool{"by the project's script": true, "by ESLint itself": false} {
		if !script {
			bare := strings.Replace(viteProject["package.json"], `,"lint":"eslint -f json ."`, "", 1)
			vibe.must(t, "POST", base+"/files", object{"files": []object{{"filePath": "package.json", "fileContents": bare}}})
		}
		analysis := vibe.must(t, "GET", base+"/analysis"+all, nil)
		if found := findings(analysis, "lint"); !slices.Equal(found, wantLint) {
			t.Errorf("lint %s:\n got %q\nwant %q\n%v", name, found, wantLint, analysis["lint"])
		}
		if found := findings(analysis, "typecheck"); !slices.Equal(found, wantTypes) {
			t.Errorf("typecheck:\n got %q\nwant %q\n%v", found, wantTypes, analysis["typecheck"])
		}
		if got := analysis["lint"].(object)["summary"].(object); got["errorCount"] != 2.0 || got["warningCount"] != 1.0 || got["infoCount"] != 0.0 {
			t.Errorf("summary %v", got)
		}
		first := analysis["typecheck"].(object)["issues"].([]any)[0].(object)
		if first["message"] != "Type 'string' is not assignable to type 'number'." {
			t.Errorf("message %q", first["message"])
		}
		vibe.must(t, "POST", base+"/files", object{"files": []object{{"filePath": "package.json", "fileContents": viteProject["package.json"]}}})
	}

	// Commands come back as they were sent.
	commands := []string{"  echo 'ü'  ", "cat package.json | head -c 9", "ls missing-file", "npx --no-install tsc --version"}
	ran := vibe.must(t, "POST", base+"/commands", object{"commands": commands, "timeout": 60_000})["results"].([]any)
	failed := []string{}
	for i, one := range ran {
		result := one.(object)
		if result["command"] != commands[i] {
			t.Errorf("command %q comes back as %q", commands[i], result["command"])
		}
		if result["success"] != true {
			failed = append(failed, result["command"].(string))
		}
	}
	if !slices.Equal(failed, commands[2:3]) || !strings.HasPrefix(ran[3].(object)["output"].(string), "Version 5.9") {
		t.Errorf("commands %v", ran)
	}

	// The files by name, and what the development server says to a module that does not compile.
	names, err := json.Marshal([]string{"src/sum.ts", "src/absent.ts"})
	if err != nil {
		t.Fatal(err)
	}
	read := vibe.must(t, "GET", base+"/files?filePaths="+url.QueryEscape(string(names)), nil)
	if files := read["files"].([]any); len(files) != 1 || files[0].(object)["fileContents"] != faultySum || len(read["errors"].([]any)) != 1 {
		t.Errorf("read %v", read)
	}
	vibe.must(t, "DELETE", base+"/errors", nil)
	vibe.must(t, "GET", base+"/logs?reset=true", nil)
	vibe.must(t, "POST", base+"/files", object{"files": []object{{"filePath": "src/broken.ts", "fileContents": "export const = 1\n"}}})
	if code, _, _ := w.get(t, preview, "/src/broken.ts"); code != http.StatusInternalServerError {
		t.Errorf("a module that does not compile: %d", code)
	}
	vibe.awaitErrors(t, base, "src/broken.ts")
	logs := vibe.must(t, "GET", base+"/logs?reset=true&duration=3600", nil)["logs"].(object)["stdout"].(string)
	if !strings.Contains(logs, "] [stderr] {\"level\":50") || !strings.Contains(logs, "broken.ts") {
		t.Errorf("logs %q", logs)
	}
	if again := vibe.must(t, "GET", base+"/logs?reset=true", nil)["logs"].(object)["stdout"].(string); strings.Contains(again, "broken.ts") {
		t.Errorf("logs after a reset %q", again)
	}
	vibe.must(t, "DELETE", base+"/errors", nil)
	if left := vibe.must(t, "GET", base+"/errors", nil); left["hasErrors"] != false {
		t.Errorf("errors after clearing %v", left)
	}

	// Deployed, changed, deployed again.
	if named := vibe.request(t, "POST", base+"/name", object{"projectName": "vite-ts-renamed"}); named["success"] != true {
		t.Errorf("name %v", named)
	}
	deploy := func(want string) {
		t.Helper()
		deployed := vibe.must(t, "POST", base+"/deploy", nil)
		if deployed["deploymentId"] != "vite-ts-renamed" || deployed["message"] == "" {
			t.Errorf("deployed %v", deployed)
		}
		address := deployed["deployedUrl"].(string)
		_, header, page := w.get(t, address, "/")
		_, script, ok := strings.Cut(page, `src="/assets/`)
		if script, _, ok2 := strings.Cut(script, `"`); !ok || !ok2 || header.Get("X-Preview-Type") != "dispatcher" {
			t.Errorf("deployed page %q %v", page, header)
		} else if _, _, body := w.get(t, address, "/assets/"+script); !strings.Contains(body, want) {
			t.Errorf("deployed script %q, want %q", body, want)
		}
	}
	deploy("sum ")
	vibe.must(t, "POST", base+"/files", object{"files": []object{{"filePath": "src/main.ts", "fileContents": strings.Replace(faultyMain, "sum ", "total ", 1)}}})
	deploy("total ")

	vibe.must(t, "DELETE", base, nil)
	w.gone(t, id)
	if status = vibe.must(t, "GET", base+"/status", nil); status["isHealthy"] != true || !strings.HasPrefix(status["message"].(string), "stopped") {
		t.Errorf("status after the end %v", status)
	}
	// To go on with another session VibeSDK looks for the first text, to make a preview again before it deploys for the second.
	if gone := vibe.request(t, "POST", base+"/files", object{"files": []object{}}); !strings.Contains(gone["error"].(string), "Network connection lost") {
		t.Errorf("write after the end %v", gone)
	}
	if gone := vibe.request(t, "POST", base+"/deploy", nil); !strings.Contains(gone["error"].(string), "Failed to read instance metadata") {
		t.Errorf("deploy after the end %v", gone)
	}
	if unknown := vibe.request(t, "GET", "/instances/i-1/status", nil); !strings.Contains(unknown["error"].(string), "Failed to read instance metadata") {
		t.Errorf("an unknown instance %v", unknown)
	}
}

// awaitErrors waits until an error about a file is listed: it is collected from the log.
func (c *remote) awaitErrors(t testing.TB, base, about string) {
	t.Helper()
	deadline := within(t)
	for {
		answer := c.must(t, "GET", base+"/errors", nil)
		for _, one := range answer["errors"].([]any) {
			e := one.(object)
			if strings.Contains(e["message"].(string), about) {
				if e["level"] != 50.0 || answer["hasErrors"] != true || !strings.HasPrefix(e["rawOutput"].(string), "{") {
					t.Errorf("errors %v", answer)
				}
				return
			}
		}
		if deadline.Err() != nil {
			t.Fatalf("no error about %s: %v", about, answer)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
