package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// serve starts the roles that dead letters need and publishes a tick that the janitor cannot read, which it parks at once.
func serve(t *testing.T, ticks ...string) string {
	t.Helper()
	vars := map[string]string{"LISTEN": "127.0.0.1:0", "DATA_DIR": t.TempDir(), "SANDBOXD": testenv.Program(t, "sandboxd", "")}
	c, err := app.ReadConfig(func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(t.Context(), c, []app.Role{app.RoleGateway, app.RoleJanitor, app.RoleDeadLetters}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	conn, err := client.New("http://"+a.Addr(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tick := range ticks {
		if _, err := conn.Publish(t.Context(), "cleanup-ticks", client.Message{Data: []byte(tick)}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		counts, err := conn.DeadLetters().Count(t.Context(), client.DeadLetterQuery{})
		if err != nil {
			t.Fatal(err)
		}
		if len(ticks) == 0 || len(counts) == 1 && counts[0].Count == len(ticks) {
			return a.Addr()
		}
		if time.Now().After(deadline) {
			t.Fatalf("filed: %+v", counts)
		}
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	addr := serve(t, `{"kind":"NO"}`, `{`, `{"kind":"NEITHER"}`)
	call := func(args ...string) (code int, lines []map[string]any, errors string) {
		t.Helper()
		var out, err bytes.Buffer
		code = run(t.Context(), append([]string{"--addr", addr}, args...), &out, &err)
		for line := range strings.Lines(out.String()) {
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			lines = append(lines, v)
		}
		return code, lines, err.String()
	}
	code, lines, problems := call("--all", "--dry-run")
	if code != 0 || len(lines) != 4 || lines[0]["outcome"] != "would-replay" || lines[3]["replayed"] != 3.0 || lines[3]["dryRun"] != true || problems != "" {
		t.Errorf("dry run: %d %v %s", code, lines, problems)
	}
	code, lines, problems = call("--reason", "no such text")
	if code != 0 || len(lines) != 1 || lines[0]["done"] != true || lines[0]["replayed"] != 0.0 {
		t.Errorf("nothing to do: %d %v %s", code, lines, problems)
	}
	// What is given up again before it is noted is told as changed, with a status of its own.
	code, lines, problems = call("--subscription", "janitor", "--limit", "2", "--rate", "1")
	if changed := lines[2]["changed"].(float64); len(lines) != 3 || lines[2]["replayed"].(float64)+changed != 2 || (changed > 0) != (code == exitNotAll) || changed == 0 && code != 0 {
		t.Errorf("replay: %d %v %s", code, lines, problems)
	}
	for want, args := range map[string][]string{
		"nothing chooses":   nil,
		"unknown flag":      {"--no-such"},
		`"more" is no flag`: {"--all", "more"},
		"--since":           {"--since", "yesterday"},
		"rate: must be":     {"--all", "--rate", "-1"},
	} {
		if code, lines, problems := call(args...); code != exitUsage || len(lines) > 0 || !strings.Contains(problems, want) {
			t.Errorf("%q: %d %v %q, want status 2 and %q", args, code, lines, problems, want)
		}
	}
	addr = "127.0.0.1:1"
	if code, _, problems := call("--all"); code != exitEarly || !strings.Contains(problems, "no server answers") {
		t.Errorf("without a server: %d %q", code, problems)
	}
}
