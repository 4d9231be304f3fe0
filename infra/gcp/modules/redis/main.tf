# The counts of rate limits.

resource "google_redis_instance" "limits" {
  name               = var.name
  region             = var.region
  tier               = var.highly_available ? "STANDARD_HA" : "BASIC"
  memory_size_gb     = var.memory_gb
  redis_version      = "REDIS_7_2"
  authorized_network = var.network
  connect_mode       = "PRIVATE_SERVICE_ACCESS"
  reserved_ip_range  = var.services_range
  auth_enabled       = true

  redis_configs = {
    # The default throws away keys that expire, and every count does: limits would be forgotten without a word when memory
    # is short. Refused writes are seen, and each limit then does what its onFailure says.
    maxmemory-policy = "noeviction"
  }
}

resource "google_secret_manager_secret" "url" {
  secret_id = var.secret_id

  replication {
    auto {}
  }
}

# The service makes the password, so Terraform's state has it as an attribute of the instance: keep the state where only
# those may read who may read this secret.
resource "google_secret_manager_secret_version" "url" {
  secret      = google_secret_manager_secret.url.id
  secret_data = "redis://default:${google_redis_instance.limits.auth_string}@${google_redis_instance.limits.host}:${google_redis_instance.limits.port}"
}
