package gateway

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestDevCommandFallsBackToNpm(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"":                       "if command -v bun >/dev/null 2>&1; then exec bun run dev; else exec npm run dev; fi",
		"bun run dev":            "if command -v bun >/dev/null 2>&1; then exec bun run dev; else exec npm run dev; fi",
		"bun run start --port 1": "if command -v bun >/dev/null 2>&1; then exec bun run start --port 1; else exec npm run start -- --port 1; fi",
		"bun run a; rm b":        "bun run a; rm b",
		"node x.js":              "node x.js",
	} {
		if got := devCommand(asked); got != want {
			t.Errorf("%q becomes %q, want %q", asked, got, want)
		}
	}
}

// TestInstallCommandWritesVariables runs the command in a folder that has a Worker and no packages.
func TestInstallCommandWritesVariables(t *testing.T) {
	t.Parallel()
	env := map[string]string{"A": "it's", "B": `say "x" $HOME`, "C": "plain %s", "D": "`'\""}
	dir := t.TempDir()
	script := "touch wrangler.jsonc\n" + installCommand(env) + "\ncat .dev.vars; git status --porcelain --ignored | grep -c 'dev.vars$'"
	if strings.Contains(installCommand(env), "plain") {
		t.Error("a value is in the command")
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "A="+env["A"], "B="+env["B"], "C="+env["C"], "D="+env["D"])
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("%v: %s", err, out) // no Git here
	}
	for _, line := range []string{`A="it's"`, `B='say "x" $HOME'`, "C='plain %s'", "\n1\n"} {
		if !strings.Contains(string(out), line) {
			t.Errorf("no %s in\n%s", line, out)
		}
	}
	if strings.Contains(string(out), "D=") {
		t.Errorf("a value that no quote can hold is written:\n%s", out)
	}
}

// TestNameTemplate runs the command in a folder of a template.
func TestNameTemplate(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"v1-shop_2.0": "v1-shop_2.0", "": "template", `x"; touch y; "`: "template", "-x": "template", "a/b": "template"} {
		dir := t.TempDir()
		for file, text := range map[string]string{
			"package.json":   "{\n  \"version\" : \"1\",\n  \"name\" :\t\"template\",\n  \"author\": {\"name\": \"somebody\"}\n}",
			"wrangler.jsonc": "{\n  // the name\n  \"name\": \"template\",\n  \"kv\": [{\"name\": \"somebody\"}]\n}\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", nameTemplate(instanceRequest{TemplateName: "t", ProjectName: name})+"ls -A")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "package.json\nwrangler.jsonc\n" {
			t.Errorf("%q: %s, %v", name, out, err)
		}
		for _, file := range []string{"package.json", "wrangler.jsonc"} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			found := regexp.MustCompile(`"name"\s*:\s*"([^"]*)"`).FindAllStringSubmatch(string(text), -1)
			if err != nil || len(found) != 2 || found[0][1] != want || found[1][1] != "somebody" {
				t.Errorf("%q: %s is %s, %v", name, file, text, err)
			}
		}
	}
	if got := nameTemplate(instanceRequest{ProjectName: "x"}); got != "" {
		t.Errorf("a project that came as files is renamed by %q", got)
	}
}

func TestMonitorLines(t *testing.T) {
	t.Parallel()
	log := "[2026-01-02T03:04:05.123456789Z] [stdout] one\n[2026-01-02T03:04:06Z] [system] two\nodd\n[2026-01-02T03:04:07Z] [stderr] \n"
	if got, want := monitorLines([]byte(log), time.Time{}), "[2026-01-02T03:04:05.123Z] [stdout] one\n[2026-01-02T03:04:06.000Z] [monitor] two\nodd\n[2026-01-02T03:04:07.000Z] [stderr] \n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := monitorLines([]byte(log), time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)); strings.Contains(got, "one") || strings.Contains(got, "odd") || !strings.Contains(got, "two") {
		t.Errorf("since: %q", got)
	}
}

func TestWholeLines(t *testing.T) {
	t.Parallel()
	text, read, err := wholeLines(strings.NewReader("one\ntwo\nthr"))
	if err != nil || string(text) != "one\ntwo\n" || read != 8 {
		t.Errorf("%q %d %v", text, read, err)
	}
	// A line without an end is not read, however long it is.
	if text, read, err := wholeLines(strings.NewReader("one\n" + strings.Repeat("x", 3*maxLogs))); err != nil || len(text) != 0 || read != 4 {
		t.Errorf("a long line without an end: %d bytes, read %d, %v", len(text), read, err)
	}
	line := strings.Repeat("x", 99) + "\n"
	long := strings.Repeat(line, 50_000) + "end"
	text, read, err = wholeLines(strings.NewReader(long))
	if err != nil || read != int64(len(long)-3) || len(text) > maxLogs || len(text) < maxLogs-100 || len(text)%100 != 0 {
		t.Errorf("%d bytes, read %d of %d, %v", len(text), read, len(long), err)
	}
}

func TestParseLint(t *testing.T) {
	t.Parallel()
	issues, ok := parseLint("$ eslint\n"+`[{"filePath":"/p/a.ts","messages":[{"ruleId":"no-x","severity":2,"message":"m","line":3,"column":4},{"ruleId":null,"severity":1,"message":"w"}]}]`+"\nrest", "/p")
	want := []Issue{{"m", "a.ts", 3, 4, "error", "no-x", "eslint"}, {"w", "a.ts", 0, 0, "warning", "", "eslint"}}
	if !ok || len(issues) != 2 || issues[0] != want[0] || issues[1] != want[1] {
		t.Errorf("%v %v", issues, ok)
	}
	for _, output := range []string{"", "[", "oops", `{"a":1}`, "[1]"} {
		if _, ok := parseLint(output, ""); ok {
			t.Errorf("%q is understood", output)
		}
	}
}

func TestParseTypes(t *testing.T) {
	t.Parallel()
	issues := parseTypes("src/a (1).ts(12,5): error TS2322: Type 'a'.\n  Because.\nother\n/p/b.ts(1,1): message TS1: hi\n", "/p")
	want := []Issue{{"Type 'a'.\n  Because.", "src/a (1).ts", 12, 5, "error", "TS2322", "typescript"}, {"hi", "b.ts", 1, 1, "info", "TS1", "typescript"}}
	if len(issues) != 2 || issues[0] != want[0] || issues[1] != want[1] {
		t.Errorf("%+v", issues)
	}
}
