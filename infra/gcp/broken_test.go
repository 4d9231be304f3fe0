package gcp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckFindsFaults breaks the modules in one place each and expects to be told, so that a check that cannot fail is seen.
func TestCheckFindsFaults(t *testing.T) {
	t.Parallel()
	s, r := recordedSchema(t), recordedRights(t)
	for name, c := range map[string]struct {
		file, old, new string
		want           string
	}{
		"argument that is not there": {
			"modules/topic/main.tf", "ack_deadline_seconds ", "ack_deadline ", "google_pubsub_subscription.main: there is no argument ack_deadline",
		},
		"argument in a nested block": {
			"modules/topic/main.tf", "minimum_backoff =", "min_backoff =", "google_pubsub_subscription.main.retry_policy: there is no argument min_backoff",
		},
		"argument in a dynamic block": {
			"modules/topic/main.tf", "push_endpoint =", "endpoint =", "push_config: the argument push_endpoint is required",
		},
		"argument in a dynamic block in a block": {
			"modules/service/main.tf", "path = http_get.value", "url = http_get.value", "startup_probe.http_get: there is no argument url",
		},
		"dynamic block in a block that is not there": {
			"modules/service/main.tf", `dynamic "tcp_socket"`, `dynamic "tcp_sockets"`, "startup_probe: there is no block tcp_sockets",
		},
		"block that is not there": {
			"modules/sql/main.tf", "insights_config {", "insight_config {", "there is no block insight_config",
		},
		"block given as an argument": {
			"modules/sessions/main.tf", "index_config {}", "index_config = {}", "there is no argument index_config",
		},
		"dynamic block that is not there": {
			"modules/topic/main.tf", `dynamic "schema_settings"`, `dynamic "schema_setting"`, "there is no block schema_setting",
		},
		"block twice": {
			"modules/topic/main.tf", "  expiration_policy {", "  expiration_policy {\n    ttl = \"1s\"\n  }\n  expiration_policy {", "stands here more than 1 times",
		},
		"required argument": {
			"modules/schedule/main.tf", "name        = \"${var.prefix}${each.key}\"", "", "the argument name is required",
		},
		"required block": {
			"modules/redis/main.tf", "  replication {\n    auto {}\n  }\n", "", "the block replication is required",
		},
		"computed argument": {
			"modules/topic/main.tf", "ack_deadline_seconds ", "effective_labels = {}\n  ack_deadline_seconds ", "effective_labels is computed",
		},
		"resource type": {
			"modules/redis/main.tf", `resource "google_redis_instance"`, `resource "google_redis_instances"`, "google_redis_instances is no resource",
		},
		"type of a constant": {
			"modules/sql/main.tf", "day          = 7", "day          = \"Sunday\"", "day must be number",
		},
		"variable that is not declared": {
			"modules/topic/main.tf", "= var.retention", "= var.retain", "var.retain is not declared",
		},
		"variable that is not used": {
			"modules/topic/main.tf", "= var.topic_retention", "= null", "var.topic_retention is not used",
		},
		"variable that only its validation uses": {
			"modules/sandbox/main.tf", "max_retries = 0", "max_retries = 0\n      priority = var.build_timeout_seconds", "there is no argument priority",
		},
		"attribute of a variable": {
			"main.tf", "var.sql.tier", "var.sql.machine", "var.sql has no attribute machine",
		},
		"local that is not declared": {
			"main.tf", "local.schedules", "local.schedule", "local.schedule is not declared",
		},
		"local that is not used": {
			"main.tf", "= local.schedules", "= []", "local.schedules is not used",
		},
		"resource that is not declared": {
			"modules/redis/main.tf", "google_redis_instance.limits.host", "google_redis_instance.limit.host", "google_redis_instance.limit is not declared",
		},
		"attribute of a resource": {
			"modules/redis/main.tf", "google_redis_instance.limits.host", "google_redis_instance.limits.hostname", "has no attribute hostname",
		},
		"attribute of one of several resources": {
			"modules/topic/main.tf", "google_pubsub_subscription.main[each.key].name", "google_pubsub_subscription.main[each.key].nam", "has no attribute nam",
		},
		"attribute in a for expression": {
			"modules/schedule/outputs.tf", "job.name", "job.names", "has no attribute names",
		},
		"attribute of a resource's block": {
			"modules/router/certificate.tf", "each.value}.\"", "each.value}${google_certificate_manager_certificate.domain[each.key].managed[0].domain}.\"",
			"has no attribute domain",
		},
		"output of a module": {
			"main.tf", "module.sql.secret_id", "module.sql.secret", "module.sql has no output secret",
		},
		"output of one of several modules": {
			"main.tf", `module.topic["cleanup-ticks"].name`, `module.topic["cleanup-ticks"].title`, "module.topic has no output title",
		},
		"output in a for expression": {
			"outputs.tf", "topic.id", "topic.ident", "module.topic has no output ident",
		},
		"output through a splat": {
			"outputs.tf", "module.sessions[*].database", "module.sessions[*].name", "module.sessions has no output name",
		},
		"several modules without an index": {
			"main.tf", "module.redis[0].secret_id", "module.redis.secret_id", "module.redis is several",
		},
		"module that is not declared": {
			"main.tf", "module.gateway.service", "module.door.service", "module.door is not declared",
		},
		"source of a module": {
			"main.tf", "./modules/sql", "./modules/postgres", `there is no module "./modules/postgres"`,
		},
		"source of a module beside": {
			"modules/gateway/main.tf", "../service", "../door", `there is no module "../door"`,
		},
		"output of a module beside": {
			"modules/router/balancer.tf", "module.service.name", "module.service.title", "module.service has no output title",
		},
		"variable that a module beside does not have": {
			"modules/worker/main.tf", "role            = var.role", "consumer = var.role", "module service has no variable consumer",
		},
		"part of an object for a module beside": {
			"modules/gateway/main.tf", "    health          = true\n", "", "module service: calls",
		},
		"variable that a module does not have": {
			"main.tf", "tier                = var.sql.tier", "machine = var.sql.tier", "module sql has no variable machine",
		},
		"variable that a module needs": {
			"main.tf", "  service_agent = local.agents.pubsub\n", "", "module dead_letters needs the variable service_agent",
		},
		"constant of a wrong type for a module": {
			"main.tf", "disk_gb             = var.sql.disk_gb", "disk_gb = \"large\"", "module sql: disk_gb",
		},
		"each without for_each": {
			"modules/redis/main.tf", "var.memory_gb", "each.value", "each.value stands outside of for_each",
		},
		"function": {
			"modules/sandbox/main.tf", "\"${local.prefix}sandbox\"", "lowercase(local.prefix)", "lowercase is no function",
		},
		"word that means nothing": {
			"modules/redis/main.tf", "var.memory_gb", "memory", "memory is not known",
		},
		"variable without a type": {
			"variables.tf", "  type        = bool\n", "", "var.deletion_protection has no type",
		},
		"variable without a description": {
			"variables.tf", "  description = \"Region of everything that has one.\"\n", "", "var.region has no description",
		},
		"variable without a validation": {
			"modules/network/variables.tf", `  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be like europe-west1."
  }
`, "", "var.region has no validation",
		},
		"validation that looks at nothing": {
			"modules/network/variables.tf", `can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))`, "true", "the condition does not look at the variable",
		},
		"output without a description": {
			"modules/redis/outputs.tf", "  description = \"Id of the instance.\"\n", "", "output instance has no description",
		},
		"two resources of one name": {
			"modules/network/main.tf", `"google_compute_subnetwork" "run"`, `"google_compute_network" "main"`, "stands here twice",
		},
		"role that nobody recorded": {
			"modules/topic/main.tf", "roles/pubsub.publisher", "roles/pubsub.publish", "no role roles/pubsub.publish",
		},
		"role without a value": {
			"modules/topic/main.tf", "  role    = \"roles/pubsub.publisher\"\n", "", "the argument role is required",
		},
		"basic role": {
			"modules/topic/main.tf", "roles/pubsub.publisher", "roles/editor", "roles/editor is a basic role",
		},
		"role on another thing": {
			"modules/sandbox/main.tf", "roles/storage.objectUser", "roles/pubsub.publisher", "may only be granted on google_pubsub_topic_iam_member",
		},
		"role on the whole project": {
			"modules/sessions/main.tf", "  condition {\n    title      = \"sessions only\"", "  lifecycle {\n    title      = \"sessions only\"", "needs a condition that narrows it",
		},
		"grant that takes others away": {
			"modules/topic/main.tf", `"google_pubsub_topic_iam_member" "publisher"`, `"google_pubsub_topic_iam_binding" "publisher"`, "takes rights away",
		},
		"permission that nobody recorded": {
			"modules/sandbox/roles.tf", `"run.jobs.get",`, `"run.jobs.get", "run.jobs.update",`, "no permission run.jobs.update",
		},
		"right for generated code": {
			"modules/sandbox/main.tf", "role   = \"roles/storage.objectViewer\"\n  member = \"serviceAccount:${each.value}\"",
			"role   = \"roles/storage.objectViewer\"\n  member = google_service_account.sandbox.member", "it must have no rights",
		},
		"secret in the source": {
			"modules/redis/main.tf", "secret_data = \"redis://default:${google_redis_instance.limits.auth_string}@${google_redis_instance.limits.host}:${google_redis_instance.limits.port}\"",
			"secret_data = \"redis://default:hunter2@host\"", "secret_data is a secret",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := copyTree(t)
			path := filepath.Join(root, filepath.FromSlash(c.file))
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(body), c.old) {
				t.Fatalf("%s does not contain %q any more", c.file, c.old)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(body), c.old, c.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			tree, err := readTree(root)
			if err != nil {
				t.Fatal(err)
			}
			if faults := strings.Join(check(tree, s, r), "\n"); !strings.Contains(faults, c.want) {
				t.Errorf("want %q, got:\n%s", c.want, faults)
			}
		})
	}
}

// copyTree copies the Terraform files to a folder of their own.
func copyTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, pattern := range []string{"*.tf", "modules/*/*.tf"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, name), body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}
