package crashpoint_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestKillsTheProcess builds a program with and without the tag: the test binary itself is only one of the two.
func TestKillsTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build := func(name, tags string) string {
		bin := filepath.Join(dir, name)
		out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", bin, "./testdata/program").CombinedOutput()
		if err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		return bin
	}
	tagged, plain := build("tagged", "crashpoint"), build("plain", "")

	for _, tt := range []struct {
		bin, env, want string
		killed         bool
	}{
		{tagged, "", "a1 b1 a2 b2 a3 b3 ", false},
		{tagged, "p/none", "a1 b1 a2 b2 a3 b3 ", false},
		{tagged, "p/a", "", true},
		{tagged, "p/b", "a1 ", true},
		{tagged, "p/b:3", "a1 b1 a2 b2 a3 ", true},
		{tagged, "p/b:4", "a1 b1 a2 b2 a3 b3 ", false},
		{plain, "p/a", "a1 b1 a2 b2 a3 b3 ", false},
	} {
		t.Run(filepath.Base(tt.bin)+" "+tt.env, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), tt.bin)
			cmd.Env = []string{"CRASHPOINT=" + tt.env}
			out, err := cmd.Output()
			if string(out) != tt.want {
				t.Errorf("printed %q, want %q", out, tt.want)
			}
			killed := false
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				status, ok := exit.Sys().(syscall.WaitStatus)
				killed = ok && status.Signal() == syscall.SIGKILL
			} else if err != nil {
				t.Fatal(err)
			}
			if killed != tt.killed {
				t.Errorf("killed = %v, want %v", killed, tt.killed)
			}
		})
	}
}

func TestRefusesAnUnreadableCount(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "crashpoint", "-o", bin, "./testdata/program").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, env := range []string{"p/a:", "p/a:0", "p/a:x"} {
		cmd := exec.CommandContext(t.Context(), bin)
		cmd.Env = []string{"CRASHPOINT=" + env}
		_, err := cmd.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || len(exit.Stderr) == 0 {
			t.Errorf("CRASHPOINT=%s: %v, want exit status 2 with a message", env, err)
		}
	}
}
