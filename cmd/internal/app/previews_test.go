package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vibesdk-gcp/gateway/client"
)

func TestAPreviewInShort(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	previews := w.client.Sandbox()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<h1>hi</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	project, err := client.ReadProject(dir, client.RunRequest{BuildCommand: "echo built in short"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := previews.RunPreview(within(t), project)
	if err != nil || s.State != client.Ready || s.PreviewURL == "" {
		t.Fatalf("RunPreview = %+v, %v", s, err)
	}
	text, err := previews.GetLogs(within(t), s.ID)
	if err != nil || !strings.Contains(text, "built in short") {
		t.Errorf("GetLogs = %q, %v", text, err)
	}
	for range 2 {
		if err := previews.Cleanup(within(t), s.ID); err != nil {
			t.Errorf("Cleanup: %v", err)
		}
	}
	if s, err = w.client.Sandboxes().Get(within(t), s.ID); err != nil || s.State != client.Deleted {
		t.Errorf("afterwards: %+v, %v", s, err)
	}
}
