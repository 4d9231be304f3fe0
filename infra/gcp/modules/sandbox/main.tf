# Where generated code runs: the job that builds it, the account without rights as which it runs, and the bucket with
# sources, snapshots and logs.

locals {
  prefix = "${var.name_prefix}-"
}

# Generated code can ask the metadata server for a token of this account. It is worth nothing: no role is granted to it,
# here or anywhere, and tests hold that.
resource "google_service_account" "sandbox" {
  project      = var.project_id
  account_id   = "${local.prefix}sandbox"
  display_name = "Generated code; no rights"
}

resource "google_cloud_run_v2_job" "build" {
  project             = var.project_id
  name                = "${local.prefix}sandbox-job"
  location            = var.region
  deletion_protection = false

  template {
    task_count  = 1
    parallelism = 1

    template {
      service_account       = google_service_account.sandbox.email
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      timeout               = "${var.build_timeout_seconds}s"
      # A build that failed is tried again by its record, under a new fence, and not by Cloud Run.
      max_retries = 0

      containers {
        # What it runs, sandboxd, learns from its environment what to do.
        image = var.image

        resources {
          limits = { cpu = var.cpu, memory = var.memory }
        }
      }
    }
  }
}

resource "google_storage_bucket" "files" {
  project                     = var.platform_project_id
  name                        = "${var.platform_project_id}-${local.prefix}sandboxes"
  location                    = var.bucket_location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Everything in it can be made again; deleted objects would be paid for another week.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "lifecycle_rule" {
    for_each = var.keep_days
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value
        matches_prefix = [lifecycle_rule.key]
      }
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }
}

resource "google_storage_bucket_iam_member" "user" {
  for_each = var.bucket_users

  bucket = google_storage_bucket.files.name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${each.value}"
}

resource "google_storage_bucket_iam_member" "reader" {
  for_each = var.bucket_readers

  bucket = google_storage_bucket.files.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${each.value}"
}

resource "google_cloud_run_v2_job_iam_member" "starts" {
  for_each = var.builders

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_job.build.name
  role     = "roles/run.jobsExecutorWithOverrides"
  member   = "serviceAccount:${each.value}"
}

# Whoever deploys a service must be allowed to act as its account.
resource "google_service_account_iam_member" "acts_as" {
  for_each = var.builders

  service_account_id = google_service_account.sandbox.name
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${each.value}"
}

# A build cannot read or write the bucket: it is given signed addresses, and to sign them the builder needs this on
# itself.
resource "google_service_account_iam_member" "signs" {
  for_each = var.builders

  service_account_id = "projects/${var.platform_project_id}/serviceAccounts/${each.value}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:${each.value}"
}
