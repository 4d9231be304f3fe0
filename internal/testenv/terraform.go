package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Terraform runs terraform in a copy of a folder that needs no provider, and returns what it prints. It is looked for on PATH; when it is not
// there the test is skipped, or fails with REQUIRE_BACKENDS=1. It never reaches for the network.
type Terraform struct {
	program, dir string
}

// NewTerraform copies the folder and prepares it.
func NewTerraform(t testing.TB, folder string) *Terraform {
	t.Helper()
	skipShort(t, "terraform")
	program, err := exec.LookPath("terraform")
	if err != nil {
		err = fmt.Errorf("terraform: %w on PATH", errMissing)
	}
	require(t, "terraform", err)
	tf := &Terraform{program: program, dir: t.TempDir()}
	if err := os.CopyFS(tf.dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	tf.Run(t, "init", "-backend=false", "-input=false")
	return tf
}

// Write puts a file into the copy.
func (tf *Terraform) Write(t testing.TB, name string, body []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(tf.dir, name), body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Run runs a command, like test or apply, and returns its standard output. Failing ends the test.
func (tf *Terraform) Run(t testing.TB, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), tf.program, args...)
	cmd.Dir = tf.dir
	cmd.Env = append(os.Environ(), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TF_CLI_ARGS=", "TF_DATA_DIR=")
	out, err := cmd.Output()
	if err != nil {
		text := ""
		if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output returns it as it is
			text = string(exit.Stderr)
		}
		t.Fatalf("terraform %v: %v\n%s%s", args, err, out, text)
	}
	return out
}
