package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
)

func TestVibeSDKConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	for secret, fault := range map[string]bool{
		"0123456789abcdef0123456789abcdef": false, "0123456789abcdef0123456789abcde": true, "0123456789": true, "": true,
	} {
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := app.ReadConfig(environment(map[string]string{"JWT_SECRET_FILE": file}))
		switch {
		case !fault && (err != nil || c.VibeSDK.JWTSecret != secret):
			t.Errorf("%d characters: %v", len(secret), err)
		case fault && (err == nil || strings.Count(err.Error(), "JWT_SECRET_FILE: ") != 1 || secret != "" && strings.Contains(err.Error(), secret)):
			t.Errorf("%d characters: %v", len(secret), err)
		}
	}
	secret := "0123456789abcdef0123456789abcdef"
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"AGENT_ORIGINS": "*", "API_KEY_FILE": file}
	if _, err := app.ReadConfig(environment(vars)); err != nil {
		t.Errorf("all pages with a key: %v", err)
	}
	vars["JWT_SECRET_FILE"] = file
	if _, err := app.ReadConfig(environment(vars)); err == nil || !strings.Contains(err.Error(), "\n  AGENT_ORIGINS: ") {
		t.Errorf("all pages with cookies: %v", err)
	}
	if c, err := app.ReadConfig(environment(nil)); err != nil || c.VibeSDK.JWTSecret != "" {
		t.Errorf("default %+v, %v", c.VibeSDK, err)
	}
}
