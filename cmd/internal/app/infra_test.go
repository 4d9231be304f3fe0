package app_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/internal/testenv"
)

const settingsModule = "../../../infra/gcp/modules/settings"

// variablesRead are the names that ReadConfig asks for.
func variablesRead() map[string]bool {
	read := map[string]bool{}
	_, _ = app.ReadConfig(func(name string) (string, bool) { // what it makes of nothing does not matter here
		read[name] = true
		return "", false
	})
	return read
}

// TestTerraformSetsOnlyWhatIsRead holds each environment variable that the Terraform modules name against the configuration.
func TestTerraformSetsOnlyWhatIsRead(t *testing.T) {
	t.Parallel()
	read := variablesRead()
	if len(read) < 30 {
		t.Fatalf("ReadConfig asked for %d variables only", len(read))
	}
	files, err := filepath.Glob("../../../infra/gcp/modules/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Glob("../../../infra/gcp/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	// Keys of objects, like LISTEN = "0.0.0.0:8080", and names in quotes, like "DATABASE_URL".
	name := regexp.MustCompile(`(?:\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*) +=[^=]|"([A-Z][A-Z0-9]*_[A-Z0-9_]+)")`)
	// What is written in capitals and is no variable of ours: values of Google's enumerations.
	values := regexp.MustCompile(`^(INGRESS_|EXECUTION_|VPC_|PRIVATE_|PRIVATE|ALL_TRAFFIC|EXTERNAL_|MOVED_|TLS_|ALIGN_|REDUCE_|COMPARISON_|PROTOCOL_|FIRESTORE_NATIVE|POINT_IN_|DELETE_|POSTGRES_|PD_SSD|ENCRYPTED_|STANDARD_HA|REDIS_7)`)
	found := map[string]bool{}
	for _, file := range append(files, root...) {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range name.FindAllStringSubmatch(string(body), -1) {
			if variable := match[1] + match[2]; !values.MatchString(variable) {
				found[variable] = true
				if !read[variable] {
					t.Errorf("%s sets %s, which no field of Config is read from", file, variable)
				}
			}
		}
	}
	for _, must := range []string{"LISTEN", "DATABASE_URL", "PUBSUB_PROJECT", "API_KEY_FILE", "REDIS_URL", "AGENT_HOST_KEY_FILE", "SANDBOX_SERVICE_ACCOUNT"} {
		if !found[must] {
			t.Errorf("found no %s: the search is broken", must)
		}
	}
}

// settings are outputs of the module settings.
type settings struct {
	Places            struct{ Value map[string]string }            `json:"places"`
	Environment       struct{ Value map[string]map[string]string } `json:"environment"`
	SecretEnvironment struct{ Value map[string]map[string]string } `json:"secret_environment"`
	SecretFiles       struct{ Value map[string]map[string]string } `json:"secret_files"`
}

// TestTerraformSettingsAreAccepted gives each role's environment, as Terraform makes it, to ReadConfig.
func TestTerraformSettingsAreAccepted(t *testing.T) {
	t.Parallel()
	tf := testenv.NewTerraform(t, settingsModule)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := map[string]any{
		"project_id": "my-project", "name_prefix": "vibesdk", "preview_domain": "preview.example.com", "app_domain": "apps.example.com",
		"session_backend": "firestore", "firestore_database": "vibesdk", "session_ttl": "720h", "limit_backend": "redis",
		"agent_host_url": "https://agents.example.com", "log_level": "info", "bucket": "my-bucket", "scheduler_location": "europe-west1", "environment": map[string]string{},
		"secrets": map[string]string{"database_url": "d", "redis_url": "r", "api_key": "a", "agent_host_key": "h", "jwt": "j"},
		"sandboxes": map[string]any{
			"project_id": "my-sandboxes", "region": "europe-west1", "job": "vibesdk-sandbox-job",
			"image": "europe-west1-docker.pkg.dev/my-project/vibesdk/sandbox:1", "service_account": "vibesdk-sandbox@my-sandboxes.iam.gserviceaccount.com",
			"cpu": "2", "memory": "2Gi", "network": map[string]string{"network": "n", "subnetwork": "s"},
		},
	}
	for name, change := range map[string]map[string]any{
		"production": {},
		"small": {
			"session_backend": "postgres", "limit_backend": "sql", "agent_host_url": "", "session_ttl": "0s",
			"secrets": map[string]string{"database_url": "d", "redis_url": "", "api_key": "a", "agent_host_key": "", "jwt": ""},
		},
	} {
		vars := maps.Clone(base)
		maps.Copy(vars, change)
		body, err := json.Marshal(vars)
		if err != nil {
			t.Fatal(err)
		}
		tf.Write(t, "terraform.tfvars.json", body)
		tf.Run(t, "apply", "-auto-approve", "-input=false", "-no-color")
		var out settings
		if err := json.Unmarshal(tf.Run(t, "output", "-json"), &out); err != nil {
			t.Fatal(err)
		}
		checkPlaces(t, out)
		for role, env := range out.Environment.Value {
			vars := maps.Clone(env)
			for variable := range out.SecretEnvironment.Value[role] {
				vars[variable] = map[string]string{
					"DATABASE_URL": "postgres://vibed:secret@10.0.0.3:5432/vibed?sslmode=require", "REDIS_URL": "redis://default:secret@10.0.0.4:6379",
				}[variable]
			}
			for variable := range out.SecretFiles.Value[role] {
				vars[variable] = key
			}
			c, err := app.ReadConfig(environment(vars))
			if err != nil {
				t.Errorf("%s: %s: %v", name, role, err)
			}
			if err := c.CheckRoles([]app.Role{app.Role(role)}); err != nil {
				t.Errorf("%s: %s: %v", name, role, err)
			}
			if runs := role == "gateway" || role == "sandboxrunner" || role == "janitor"; runs != (c.CloudRun.ServiceAccount != "") || c.SandboxBackend != "cloudrun" {
				t.Errorf("%s: %s has sandboxes %s of %+v", name, role, c.SandboxBackend, c.CloudRun)
			}
			if c.SourcesURL != "gs://my-bucket" || c.PubSubPrefix != "vibesdk-" || c.Session.Backend != vars["SESSION_BACKEND"] && vars["SESSION_BACKEND"] != "" {
				t.Errorf("%s: %s: %+v", name, role, c)
			}
			if role == "gateway" && (c.Auth.Key == "" || c.Listen != "0.0.0.0:8080") {
				t.Errorf("%s: the gateway listens on %s with a key of %d bytes", name, c.Listen, len(c.Auth.Key))
			}
			if (role == "gateway") != (c.Scheduler.Location == "europe-west1") {
				t.Errorf("%s: %s is told of jobs at %q", name, role, c.Scheduler.Location)
			}
		}
	}
}

// checkPlaces holds that each role of vibed has a place, and nothing else has.
func checkPlaces(t *testing.T, out settings) {
	t.Helper()
	var roles []string
	for _, role := range app.AllRoles() {
		roles = append(roles, string(role))
	}
	slices.Sort(roles)
	if diff := cmp.Diff(roles, slices.Sorted(maps.Keys(out.Places.Value))); diff != "" {
		t.Errorf("(-roles +places):\n%s", diff)
	}
	for role, place := range out.Places.Value {
		if _, ok := out.Environment.Value[role]; ok == (place == "scheduler") {
			t.Errorf("%s has the place %s; has an environment: %t", role, place, ok)
		}
	}
}
