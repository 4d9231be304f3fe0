# One consumer: a worker pool that pulls, or a service that Pub/Sub calls.

resource "google_cloud_run_v2_worker_pool" "pull" {
  count = var.mode == "pull" ? 1 : 0

  name                = var.name
  location            = var.region
  deletion_protection = var.deletion_protection

  scaling {
    manual_instance_count = var.instances
  }

  template {
    service_account = var.service_account

    containers {
      image = var.image
      args  = [var.role]

      resources {
        limits = { cpu = var.cpu, memory = var.memory }
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

resource "google_cloud_run_v2_service" "push" {
  count = var.mode == "push" ? 1 : 0

  name                = var.name
  location            = var.region
  deletion_protection = var.deletion_protection
  # Pub/Sub of this project counts as internal. vibed checks its token, for Cloud Run hands none on that it has checked itself.
  ingress              = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  invoker_iam_disabled = true

  template {
    service_account = var.service_account
    # The longest ack deadline of a push subscription.
    timeout                          = "600s"
    max_instance_request_concurrency = 1000

    scaling {
      min_instance_count = 0
      max_instance_count = var.instances
    }

    containers {
      image = var.image
      args  = [var.role]

      resources {
        limits = { cpu = var.cpu, memory = var.memory }
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
