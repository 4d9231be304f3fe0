# One role of vibed on Cloud Run: a service that is called, or a worker pool that pulls. What a container is given is the same
# for all; it stands here twice because Terraform shares no blocks between types of resources.

locals {
  # A secret file is at a path of its own, and its variable names the path.
  files = { for variable in keys(var.secret_files) : variable => "/secrets/${lower(variable)}" }
  environment = merge(
    var.environment,
    { for variable, folder in local.files : variable => "${folder}/value" },
  )
  volumes = { for variable, secret in var.secret_files : replace(lower(variable), "_", "-") => { secret = secret, folder = local.files[variable] } }
}

resource "google_cloud_run_v2_service" "main" {
  count = var.calls == null ? 0 : 1

  name                = var.name
  location            = var.region
  deletion_protection = var.deletion_protection
  ingress             = var.calls.ingress
  # vibed looks at who calls: at keys, at tokens of Pub/Sub, or at nothing when a preview is public. Cloud Run's own check would
  # keep a token that it has checked from vibed.
  invoker_iam_disabled = true
  # Behind a load balancer there is no other way in.
  default_uri_disabled = var.calls.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"

  template {
    service_account                  = var.service_account
    timeout                          = "${var.calls.timeout_seconds}s"
    max_instance_request_concurrency = 1000

    scaling {
      min_instance_count = var.instances.min
      max_instance_count = var.instances.max
    }

    containers {
      image = var.image
      args  = [var.role]

      resources {
        limits            = { cpu = var.cpu, memory = var.memory }
        cpu_idle          = !var.calls.works_between
        startup_cpu_boost = true
      }

      ports {
        container_port = 8080
      }

      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 30

        dynamic "http_get" {
          for_each = var.calls.health ? ["/readyz"] : []
          content {
            path = http_get.value
          }
        }
        dynamic "tcp_socket" {
          for_each = var.calls.health ? [] : [8080]
          content {
            port = tcp_socket.value
          }
        }
      }
      liveness_probe {
        period_seconds    = 15
        timeout_seconds   = 5
        failure_threshold = 4

        dynamic "http_get" {
          for_each = var.calls.health ? ["/healthz"] : []
          content {
            path = http_get.value
          }
        }
        dynamic "tcp_socket" {
          for_each = var.calls.health ? [] : [8080]
          content {
            port = tcp_socket.value
          }
        }
      }

      dynamic "env" {
        for_each = local.environment
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
      dynamic "volume_mounts" {
        for_each = local.volumes
        content {
          name       = volume_mounts.key
          mount_path = volume_mounts.value.folder
        }
      }
    }

    dynamic "volumes" {
      for_each = local.volumes
      content {
        name = volumes.key
        secret {
          secret = volumes.value.secret
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

resource "google_cloud_run_v2_worker_pool" "main" {
  count = var.calls == null ? 1 : 0

  name                = var.name
  location            = var.region
  deletion_protection = var.deletion_protection

  scaling {
    manual_instance_count = var.instances.max
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
        for_each = local.environment
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
      dynamic "volume_mounts" {
        for_each = local.volumes
        content {
          name       = volume_mounts.key
          mount_path = volume_mounts.value.folder
        }
      }
    }

    dynamic "volumes" {
      for_each = local.volumes
      content {
        name = volumes.key
        secret {
          secret = volumes.value.secret
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
