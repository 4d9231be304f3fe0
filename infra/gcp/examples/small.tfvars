# The least that stands: one small database for everything, no Memorystore, doors and most workers scale to zero. To try it out.
project_id     = "my-project"
region         = "europe-west1"
image          = "europe-west1-docker.pkg.dev/my-project/vibesdk/vibed:latest"
sandbox_image  = "europe-west1-docker.pkg.dev/my-project/vibesdk/sandbox:latest"
gateway_domain = "api.vibe.example.com"
preview_domain = "preview.vibe.example.com"
app_domain     = "apps.vibe.example.com"
dns_zone       = "vibe"

session_backend = "postgres"
limit_backend   = "sql"
session_ttl     = "720h"
sql             = { tier = "db-f1-micro", max_connections = 75 }
instances = {
  gateway = { min = 0, max = 2 }
  router  = { min = 0, max = 2 }
}
push_consumers = ["callbackrunner", "janitor", "parked", "sandboxrunner"]
build          = { cpu = "1", memory = "2Gi" }

api_key_secret      = "vibesdk-api-key"
alert_emails        = ["me@example.com"]
playbooks_url       = "https://git.example.com/vibesdk-gcp/blob/main/docs/playbooks"
deletion_protection = false
