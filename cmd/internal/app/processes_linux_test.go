package app_test

import (
	"bytes"
	"os"
	"path/filepath"
)

// processesOf counts the processes that work for sandboxes of a data folder, by what their environment says.
func processesOf(dataDir string) (n int, known bool) {
	mark := []byte("SANDBOX_DIR=" + dataDir)
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if env, err := os.ReadFile(file); err == nil && bytes.Contains(env, mark) {
			n++
		}
	}
	return n, true
}
