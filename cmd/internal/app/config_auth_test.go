package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/auth"
)

func TestCallersInTheConfiguration(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file(auth.Entry{Name: "ci", SHA256: auth.Digest("k"), Scopes: []string{"admin"}}.Line())
	key := file("0123456789abcdef")
	for name, c := range map[string]struct {
		vars map[string]string
		want string // the variable at fault
	}{
		"a file":                    {map[string]string{"API_KEYS_FILE": good}, ""},
		"a file with a fault":       {map[string]string{"API_KEYS_FILE": file("- {name: a}")}, "API_KEYS_FILE"},
		"no file":                   {map[string]string{"API_KEYS_FILE": "/no/such"}, "API_KEYS_FILE"},
		"a key and a file":          {map[string]string{"API_KEY_FILE": key, "API_KEYS_FILE": good}, ""},
		"tokens":                    {map[string]string{"API_KEYS_FILE": good, "OIDC_AUDIENCE": "https://x.test"}, ""},
		"tokens of nobody":          {map[string]string{"API_KEY_FILE": key, "OIDC_AUDIENCE": "https://x.test"}, "OIDC_AUDIENCE"},
		"keys that others may send": {map[string]string{"API_KEYS_FILE": good, "OIDC_KEYS_URL": "http://x.test/certs"}, "OIDC_KEYS_URL"},
		"origins":                   {map[string]string{"CORS_ORIGINS": "https://app.test, http://localhost:5173"}, ""},
		"a host as origin":          {map[string]string{"CORS_ORIGINS": "app.test"}, "CORS_ORIGINS"},
		"an origin with a path":     {map[string]string{"CORS_ORIGINS": "https://app.test/"}, "CORS_ORIGINS"},
		"all origins without keys":  {map[string]string{"CORS_ORIGINS": "*"}, "CORS_ORIGINS"},
		"all origins":               {map[string]string{"CORS_ORIGINS": "*", "API_KEY_FILE": key}, ""},
		"no connections":            {map[string]string{"MAX_CONNECTIONS": "0"}, "MAX_CONNECTIONS"},
	} {
		_, err := app.ReadConfig(environment(c.vars))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), "\n  "+c.want+": ")) {
			t.Errorf("%s: %v, want a fault of %q", name, err, c.want)
		}
	}
}
