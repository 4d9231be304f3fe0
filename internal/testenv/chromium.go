package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Chromium returns the path of a browser of the Chromium family. TEST_CHROMIUM wins over those in PATH and in the usual folders. See the
// package comment for when the test is skipped.
func Chromium(t testing.TB) string {
	t.Helper()
	const backend = "Chromium"
	skipShort(t, backend)
	path, err := findChromium()
	require(t, backend, err)
	return path
}

func findChromium() (string, error) {
	if path := os.Getenv("TEST_CHROMIUM"); path != "" {
		if !isFile(path) {
			return "", fmt.Errorf("TEST_CHROMIUM is %s, which is no file", path)
		}
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	patterns := []string{"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"}
	if home, err := os.UserHomeDir(); err == nil {
		patterns = append(patterns, filepath.Join(home, ".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
	}
	for _, pattern := range patterns {
		if found := newestFirst(pattern); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("%w: no Chromium in PATH or the usual folders; install it (apt-get install chromium) or set TEST_CHROMIUM", errMissing)
}
