package app

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// findSandboxd finds the guest program: as told, else beside this program, else on PATH.
func findSandboxd(told string) (string, error) {
	if told != "" {
		if _, err := os.Stat(told); err != nil {
			return "", fmt.Errorf("SANDBOXD: %w", err)
		}
		return told, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "sandboxd")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	if path, err := exec.LookPath("sandboxd"); err == nil {
		return path, nil
	}
	return "", errors.New("the program sandboxd is neither beside this one nor on PATH: build it with `make build`, or name it with SANDBOXD")
}
