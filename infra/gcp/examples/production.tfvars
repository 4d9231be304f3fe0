# Two zones for what keeps data, previews in a project of their own, images by digest.
project_id         = "my-platform"
sandbox_project_id = "my-sandboxes"
region             = "europe-west1"
image              = "europe-west1-docker.pkg.dev/my-platform/vibesdk/vibed@sha256:0000000000000000000000000000000000000000000000000000000000000000"
sandbox_image      = "europe-west1-docker.pkg.dev/my-platform/vibesdk/sandbox@sha256:0000000000000000000000000000000000000000000000000000000000000000"
image_repository   = { location = "europe-west1", name = "vibesdk" }
gateway_domain     = "api.example.com"
preview_domain     = "example-previews.com"
app_domain         = "example-apps.com"

session_backend = "firestore"
firestore       = { database = "vibesdk", location = "eur3" }
limit_backend   = "redis"
redis           = { memory_gb = 5, highly_available = true }
sql             = { tier = "db-custom-2-7680", highly_available = true, disk_gb = 50, max_connections = 400 }
instances = {
  gateway        = { min = 2, max = 50 }
  router         = { min = 2, max = 50 }
  statewriter    = 3
  callbackrunner = 2
  sandboxrunner  = 2
  janitor        = 1
}
build = { cpu = "4", memory = "8Gi" }

api_key_secret = "vibesdk-api-key"
agent_host     = { url = "https://agents.example.com", key_secret = "vibesdk-agent-host-key" }
publishers = {
  sandbox-requests = ["serviceAccount:app-builder@my-platform.iam.gserviceaccount.com"]
  state-mutations  = ["serviceAccount:agent-host@my-platform.iam.gserviceaccount.com"]
}
operators = ["group:vibesdk-operators@example.com"]

alert_emails          = ["oncall@example.com"]
notification_channels = ["projects/my-platform/notificationChannels/1234567890"]
playbooks_url         = "https://git.example.com/vibesdk-gcp/blob/main/docs/playbooks"
