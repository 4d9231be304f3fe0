//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vibesdk-gcp/platform/sandbox"
)

func liveRig(t *testing.T) (*rig, *sandbox.Control, string) {
	t.Helper()
	g := newRig(t, sandbox.Spec{
		Source: sandbox.Source{Files: []sandbox.File{
			{Path: "index.html", Data: []byte("one")},
			{Path: "src/a.ts", Data: []byte("a")},
			{Path: "src/deep/b.ts", Data: []byte("b")},
			{Path: "run.sh", Data: []byte("#!/bin/sh\n"), Executable: true},
			{Path: "node_modules/x/index.js", Data: []byte("x")},
		}},
		Build: "ln -s " + t.TempDir() + " out; ln -s src inside; echo built",
		Env:   map[string]string{"SECRET": "do-not-show"},
	})
	g.build()
	_, endpoint := g.serve()
	return g, g.control(endpoint), endpoint
}

func TestLiveFiles(t *testing.T) {
	t.Parallel()
	g, c, endpoint := liveRig(t)
	ctx := t.Context()

	list, err := c.ListFiles(ctx, sandbox.FileQuery{Glob: "**/*.ts"})
	if err != nil {
		t.Fatal(err)
	}
	want := []sandbox.FileInfo{{Path: "src/a.ts", Size: 1}, {Path: "src/deep/b.ts", Size: 1}}
	if diff := cmp.Diff(want, list.Files, cmpopts.IgnoreFields(sandbox.FileInfo{}, "ModifiedAt")); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
	if list, err := c.ListFiles(ctx, sandbox.FileQuery{}); err != nil || contains(list, "node_modules/x/index.js") || !contains(list, "run.sh") {
		t.Errorf("listing of all: %+v, %v", list, err)
	}
	if list, err := c.ListFiles(ctx, sandbox.FileQuery{All: true}); err != nil || !contains(list, "node_modules/x/index.js") {
		t.Errorf("listing with all: %+v, %v", list, err)
	}
	if _, err := c.ListFiles(ctx, sandbox.FileQuery{Path: "nowhere"}); !errors.Is(err, sandbox.ErrFileNotFound) {
		t.Errorf("listing of a folder that is not there: %v", err)
	}

	// A write is seen by the preview, keeps the mode, and makes folders.
	if err := c.WriteFile(ctx, sandbox.File{Path: "index.html", Data: []byte("two")}); err != nil {
		t.Fatal(err)
	}
	if _, body, _ := get(t, "http://"+endpoint+"/"); body != "two" {
		t.Errorf("the preview shows %q", body)
	}
	if err := c.WriteFile(ctx, sandbox.File{Path: "run.sh", Data: []byte("#!/bin/sh\necho hi\n")}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(g.task.Dir, "app", "run.sh")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode of a file written over: %v, %v", info.Mode(), err)
	}
	if err := c.WriteFile(ctx, sandbox.File{Path: "new/ä ?#%.txt", Data: []byte("odd")}); err != nil {
		t.Fatal(err)
	}
	if body, err := c.ReadFile(ctx, "new/ä ?#%.txt"); err != nil || string(body) != "odd" {
		t.Errorf("odd name: %q, %v", body, err)
	}
	if _, err := c.ReadFile(ctx, "nope"); !errors.Is(err, sandbox.ErrFileNotFound) {
		t.Errorf("read of a missing file: %v", err)
	}
	if _, err := c.ReadFile(ctx, "src"); !errors.Is(err, sandbox.ErrInvalid) {
		t.Errorf("read of a folder: %v", err)
	}

	// Links inside are followed, links outside are not, by any verb.
	if body, err := c.ReadFile(ctx, "inside/a.ts"); err != nil || string(body) != "a" {
		t.Errorf("through a link inside: %q, %v", body, err)
	}
	for name, err := range map[string]error{
		"write":  c.WriteFile(ctx, sandbox.File{Path: "out/x", Data: []byte("x")}),
		"delete": c.DeleteFile(ctx, "out/x", true),
		"up":     c.WriteFile(ctx, sandbox.File{Path: "../x", Data: []byte("x")}),
	} {
		if !errors.Is(err, sandbox.ErrInvalid) {
			t.Errorf("%s through a link that leaves: %v", name, err)
		}
	}
	if _, err := c.ReadFile(ctx, "out/x"); !errors.Is(err, sandbox.ErrInvalid) {
		t.Errorf("read through a link that leaves: %v", err)
	}
	if code, _, _ := get(t, "http://"+endpoint+"/.sandbox/v1/files/%2e%2e/task.json", "Authorization", "Bearer "+g.task.ControlToken); code != http.StatusBadRequest {
		t.Errorf("escaped dots: %d", code)
	}

	// Deleting.
	if err := c.DeleteFile(ctx, "src", false); !errors.Is(err, sandbox.ErrInvalid) {
		t.Errorf("a folder that is not empty: %v", err)
	}
	if err := c.DeleteFile(ctx, "src", true); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteFile(ctx, "src/a.ts", false); !errors.Is(err, sandbox.ErrFileNotFound) {
		t.Errorf("a file that is gone: %v", err)
	}

	// Limits.
	if err := c.WriteFile(ctx, sandbox.File{Path: "big", Data: make([]byte, sandbox.ControlFileLimit+1)}); !errors.Is(err, sandbox.ErrTooLarge) {
		t.Errorf("a file that is too large: %v", err)
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+endpoint+"/.sandbox/v1/files/big", bytes.NewReader(make([]byte, sandbox.ControlFileLimit+1)))
	req.Header.Set("Authorization", "Bearer "+g.task.ControlToken)
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a file that is too large, sent all the same: %+v, %v", resp, err)
	}
	if err := c.WriteFile(ctx, sandbox.File{Path: "big", Data: make([]byte, sandbox.ControlFileLimit)}); err != nil {
		t.Errorf("a file of the largest size: %v", err)
	}
	if list, err := c.ListFiles(ctx, sandbox.FileQuery{Glob: "*~"}); err != nil || len(list.Files) > 0 {
		t.Errorf("temporary files are left: %+v, %v", list, err)
	}
}

func contains(list sandbox.FileList, name string) bool {
	for _, f := range list.Files {
		if f.Path == name {
			return true
		}
	}
	return false
}

func TestLiveFileBatch(t *testing.T) {
	t.Parallel()
	g, c, endpoint := liveRig(t)
	got, err := c.WriteFiles(t.Context(), []sandbox.File{
		{Path: "b1.txt", Data: []byte("1")},
		{Path: "../b2.txt", Data: []byte("2")},
		{Path: "index.html/b3.txt", Data: []byte("3")},
		{Path: "b4.sh", Data: []byte("4"), Executable: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []sandbox.FileResult{
		{Path: "b1.txt", Success: true},
		{Path: "../b2.txt", Error: `path "../b2.txt": the path leads outside the project`},
		{Path: "index.html/b3.txt", Error: "index.html/b3.txt: a part of the path is a file"},
		{Path: "b4.sh", Success: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	// Text, as callers that are not Go send it.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+endpoint+"/.sandbox/v1/files", strings.NewReader(`{"files":[{"path":"t.txt","content":"text ä"}]}`))
	req.Header.Set("Authorization", "Bearer "+g.task.ControlToken)
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", resp, err)
	}
	if body, err := c.ReadFile(t.Context(), "t.txt"); err != nil || string(body) != "text ä" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestLiveCommands(t *testing.T) {
	t.Parallel()
	g, c, _ := liveRig(t)
	for name, test := range map[string]struct {
		commands []string
		want     []sandbox.CommandResult
	}{
		"one session": {
			commands: []string{"cd src; X=1", "pwd; echo $X; echo oops >&2", " false # odd  spacing "},
			want: []sandbox.CommandResult{
				{Success: true},
				{Success: true, Output: filepath.Join(g.task.Dir, "app", "src") + "\n1\n", Error: "oops\n"},
				{ExitCode: 1},
			},
		},
		"no newline at the end, no input, no syntax": {
			commands: []string{"printf abc; printf def >&2", "cat", "if", "echo on"},
			want:     []sandbox.CommandResult{{Success: true, Output: "abc", Error: "def"}, {Success: true}, {ExitCode: 2, Error: "*"}, {Success: true, Output: "on\n"}},
		},
		"the session ends": {
			commands: []string{"cd src", "exit 5", "pwd", "kill -9 $$", "echo on"},
			want:     []sandbox.CommandResult{{Success: true}, {ExitCode: 5}, {Success: true, Output: filepath.Join(g.task.Dir, "app") + "\n"}, {ExitCode: 137}, {Success: true, Output: "on\n"}},
		},
		"background": {
			commands: []string{"sleep 1000 & echo begun", "exit 0"},
			want:     []sandbox.CommandResult{{Success: true, Output: "begun\n"}, {Success: true}},
		},
		"secrets": {
			commands: []string{"echo $SECRET; echo $SECRET >&2"},
			want:     []sandbox.CommandResult{{Success: true, Output: "***\n", Error: "***\n"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.Run(t.Context(), test.commands, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i := range test.want {
				test.want[i].Command = test.commands[i]
				if i < len(got) && strings.HasPrefix(test.want[i].Error, "*") && strings.Contains(got[i].Error, test.want[i].Error[1:]) {
					test.want[i].Error = got[i].Error
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLiveCommandsTimeOut gives commands that do not end longer and longer, until a slow machine gets as far as to print within it.
func TestLiveCommandsTimeOut(t *testing.T) {
	t.Parallel()
	_, c, _ := liveRig(t)
	for limit := 500 * time.Millisecond; ; limit *= 4 {
		got, err := c.Run(t.Context(), []string{"echo before", "echo part; sleep 1000", "echo after"}, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got[2].ExitCode != sandbox.ExitNotRun || !strings.Contains(got[2].Error, "not run") {
			t.Fatalf("results %+v", got)
		}
		if got[0].Success && got[1].Output == "part\n" {
			want := fmt.Sprintf("stopped: the time of %s for the commands is over", limit)
			if got[0].Output != "before\n" || got[1].ExitCode != sandbox.ExitTimedOut || !strings.Contains(got[1].Error, want) {
				t.Errorf("results %+v, want %q", got, want)
			}
			return
		}
		if limit > patience/4 {
			t.Fatalf("within %s: %+v", limit, got)
		}
	}
}

func TestLiveCommandLimits(t *testing.T) {
	t.Parallel()
	_, c, _ := liveRig(t)
	got, err := c.Run(t.Context(), []string{"head -c 3000000 /dev/zero | tr '\\0' x; head -c 2000000 /dev/zero | tr '\\0' y >&2", "echo next"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	note := func(n string) string { return "\n[cut: " + n + " bytes more]\n" }
	if want := strings.Repeat("x", sandbox.ControlOutputLimit) + note("1951424"); got[0].Output != want {
		t.Errorf("output of %d bytes ends in %q", len(got[0].Output), got[0].Output[len(got[0].Output)-40:])
	}
	if want := strings.Repeat("y", sandbox.ControlOutputLimit) + note("951424"); got[0].Error != want {
		t.Errorf("error of %d bytes", len(got[0].Error))
	}
	if got[1].Output != "next\n" {
		t.Errorf("after it: %+v", got[1])
	}
	for name, commands := range map[string][]string{
		"none": {}, "many": make([]string, sandbox.ControlCommands+1), "long": {strings.Repeat("x", sandbox.ControlCommandLimit+1)}, "nul": {"a\x00b"},
	} {
		if _, err := c.Run(t.Context(), commands, 0); !errors.Is(err, sandbox.ErrInvalid) && !errors.Is(err, sandbox.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := c.Run(t.Context(), []string{": " + strings.Repeat("x", sandbox.ControlCommandLimit-2)}, 0); err != nil || !got[0].Success {
		t.Errorf("a command of the largest size: %v", err)
	}
}

func TestLiveLogsAndErrors(t *testing.T) {
	t.Parallel()
	env := devEnv(t, "port")
	g := newRig(t, sandbox.Spec{Dev: `echo '{"level":30,"msg":"fine"}'; echo '{"level":50,"msg":"order 17 failed"}'; echo '{"level":50,"msg":"order 18 failed"}'; exec "$PROGRAM"`, Env: env})
	g.build()
	p, endpoint := g.serve()
	c := g.control(endpoint)
	ctx := t.Context()

	log, err := c.Logs(ctx, sandbox.PhaseServe, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	reader := bufio.NewReader(log)
	first, err := reader.ReadString('\n')
	if err != nil || !strings.Contains(first, "starting the development server") {
		t.Fatalf("first line %q, %v", first, err)
	}
	p.until("the app has printed", func() bool { return p.out.has("order 18 failed") })
	later, err := c.Logs(ctx, sandbox.PhaseServe, int64(len(first)), false)
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	rest, err := io.ReadAll(later)
	if err != nil || strings.Contains(string(rest), first) || !strings.Contains(string(rest), "order 17 failed") {
		t.Errorf("from an offset: %q, %v", rest, err)
	}
	p.until("the log is what was printed live", func() bool { return strings.HasPrefix(p.out.String(), first+string(rest)) })

	p.until("both errors are counted", func() bool {
		errs, err := c.Errors(ctx)
		return err == nil && len(errs) == 1 && errs[0].Message == "order 17 failed" && errs[0].Count == 2 && errs[0].Level == 50 && strings.Contains(errs[0].RawOutput, "order 18")
	})
	if err := c.ClearErrors(ctx); err != nil {
		t.Fatal(err)
	}
	if errs, err := c.Errors(ctx); err != nil || len(errs) != 0 {
		t.Fatalf("errors after clearing: %+v, %v", errs, err)
	}

	status, err := c.Status(ctx)
	if err != nil || !status.Healthy || status.Progress != sandbox.Done || status.Phase != sandbox.PhaseServe || status.Restarts != 0 {
		t.Errorf("status %+v, %v", status, err)
	}
	crash(t, endpoint)
	eventually(t, "the restart is counted", func() bool {
		status, err := c.Status(ctx)
		return err == nil && status.Restarts == 1 && status.Healthy
	})
	if errs, err := c.Errors(ctx); err != nil || !slices.ContainsFunc(errs, func(e sandbox.LoggedError) bool { return e.Message == "Error: crashed as asked" }) {
		t.Errorf("errors after a crash: %+v, %v", errs, err)
	}
	// The followed log has gone on, and ends with the program.
	p.lifeline.Close()
	tail, err := io.ReadAll(reader)
	if !strings.Contains(string(tail), "exited with status 7") {
		t.Errorf("the followed log lacks the crash: %q, %v", tail, err)
	}
}

func TestLiveToken(t *testing.T) {
	t.Parallel()
	g, c, endpoint := liveRig(t)
	wrong := sandbox.NewControl("http://"+endpoint, "wrong", nil)
	if _, err := wrong.Status(t.Context()); !errors.Is(err, sandbox.ErrUnauthorized) {
		t.Errorf("wrong token: %v", err)
	}
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic " + g.task.ControlToken, g.task.ControlToken, "Bearer " + g.task.ControlToken + "x"} {
		for _, path := range []string{"/.sandbox/v1/status", "/.sandbox/v1/files/index.html", "/.sandbox/", "/.sandbox/v1/no-such"} {
			code, body, _ := get(t, "http://"+endpoint+path, "Authorization", header)
			if code != http.StatusUnauthorized || body != "{\"error\":\"unauthorized\"}\n" {
				t.Errorf("%q %s: %d %q", header, path, code, body)
			}
		}
	}
	if code, _, _ := get(t, "http://"+endpoint+"/.sandbox/v1/no-such", "Authorization", "Bearer "+g.task.ControlToken); code != http.StatusNotFound {
		t.Errorf("an endpoint that is not there: %d", code)
	}
	if _, err := c.Logs(t.Context(), "bake", 0, false); !errors.Is(err, sandbox.ErrInvalid) {
		t.Errorf("a phase that is not there: %v", err)
	}
	gone := sandbox.NewControl("127.0.0.1:1", g.task.ControlToken, nil)
	if _, err := gone.Status(t.Context()); !errors.Is(err, sandbox.ErrUnavailable) || strings.Contains(err.Error(), g.task.ControlToken) {
		t.Errorf("a guest that is not there: %v", err)
	}
}
