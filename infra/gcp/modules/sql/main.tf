# The database of sandboxes, deployments and whatever else is not in Firestore or Redis. It has a private address only.

resource "google_sql_database_instance" "main" {
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = var.deletion_protection

  settings {
    tier                        = var.tier
    edition                     = "ENTERPRISE"
    availability_type           = var.highly_available ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.disk_gb
    disk_autoresize             = true
    deletion_protection_enabled = var.deletion_protection

    ip_configuration {
      ipv4_enabled       = false
      private_network    = var.network
      allocated_ip_range = var.services_range
      ssl_mode           = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      start_time                     = "03:00"
    }

    maintenance_window {
      day          = 7
      hour         = 4
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled = true
    }

    database_flags {
      name  = "max_connections"
      value = tostring(var.max_connections)
    }
  }

  lifecycle {
    # The disk grows by itself.
    ignore_changes = [settings[0].disk_size]
  }
}

resource "google_sql_database" "vibed" {
  name     = "vibed"
  instance = google_sql_database_instance.main.name
}

# The password exists while applying and in Secret Manager, and in no state: both of its users are write-only, and both
# change when password_version does. No signs that an address would need escaped.
ephemeral "random_password" "vibed" {
  length  = 40
  special = false
}

resource "google_sql_user" "vibed" {
  name                = "vibed"
  instance            = google_sql_database_instance.main.name
  password_wo         = ephemeral.random_password.vibed.result
  password_wo_version = var.password_version
}

resource "google_secret_manager_secret" "url" {
  secret_id = var.secret_id

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "url" {
  secret                 = google_secret_manager_secret.url.id
  secret_data_wo         = "postgres://${google_sql_user.vibed.name}:${ephemeral.random_password.vibed.result}@${google_sql_database_instance.main.private_ip_address}:5432/${google_sql_database.vibed.name}?sslmode=require"
  secret_data_wo_version = var.password_version
}
