# The front door of clients and agents.

resource "google_cloud_run_v2_service" "main" {
  name                = var.name
  location            = var.region
  deletion_protection = var.deletion_protection
  # The load balancer is the only way in, and the gateway asks for its own key.
  ingress              = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  invoker_iam_disabled = true
  default_uri_disabled = true

  template {
    service_account = var.service_account
    # WebSockets live as long as this at most; clients connect again.
    timeout                          = "3600s"
    max_instance_request_concurrency = 1000

    scaling {
      min_instance_count = var.instances.min
      max_instance_count = var.instances.max
    }

    containers {
      image = var.image
      args  = ["gateway"]

      resources {
        limits = { cpu = var.cpu, memory = var.memory }
        # Watches and caches work between requests, too.
        cpu_idle          = false
        startup_cpu_boost = true
      }

      ports {
        container_port = 8080
      }

      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 30
        http_get {
          path = "/readyz"
        }
      }
      liveness_probe {
        period_seconds    = 15
        timeout_seconds   = 5
        failure_threshold = 4
        http_get {
          path = "/healthz"
        }
      }

      dynamic "env" {
        for_each = var.environment
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = var.secret_environment
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
        }
      }
      dynamic "env" {
        for_each = var.secret_files
        content {
          name  = env.key
          value = "/secrets/${lower(env.key)}/value"
        }
      }
      dynamic "volume_mounts" {
        for_each = var.secret_files
        content {
          name       = replace(lower(volume_mounts.key), "_", "-")
          mount_path = "/secrets/${lower(volume_mounts.key)}"
        }
      }
    }

    dynamic "volumes" {
      for_each = var.secret_files
      content {
        name = replace(lower(volumes.key), "_", "-")
        secret {
          secret = volumes.value
          items {
            path    = "value"
            version = "latest"
          }
        }
      }
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = var.network.network
        subnetwork = var.network.subnetwork
      }
    }
  }
}
