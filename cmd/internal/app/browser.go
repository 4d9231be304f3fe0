package app

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
)

// OpenBrowser opens an http or https address in the user's browser. It does not wait for the browser to end.
func OpenBrowser(ctx context.Context, address string) error {
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		return fmt.Errorf("%q is no web address", address)
	}
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("no browser can be opened from here (%s is missing)", program)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, address)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
