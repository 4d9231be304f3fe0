# One account per role, and what Google's own services need.

data "google_project" "platform" {
  project_id = var.project_id
}

data "google_project" "sandboxes" {
  project_id = local.sandbox_project
}

locals {
  sandbox_project = coalesce(var.sandbox_project_id, var.project_id)
  agents = {
    pubsub    = "service-${data.google_project.platform.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    scheduler = "service-${data.google_project.platform.number}@gcp-sa-cloudscheduler.iam.gserviceaccount.com"
    run       = "service-${data.google_project.sandboxes.number}@serverless-robot-prod.iam.gserviceaccount.com"
  }
  apis = [
    "artifactregistry.googleapis.com",
    "certificatemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "dns.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "redis.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "servicenetworking.googleapis.com",
    "sqladmin.googleapis.com",
    "storage.googleapis.com",
  ]
}

resource "google_project_service" "platform" {
  for_each = toset(local.apis)

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

resource "google_project_service" "sandboxes" {
  for_each = local.sandbox_project == var.project_id ? toset([]) : toset(["run.googleapis.com", "iam.googleapis.com"])

  project            = local.sandbox_project
  service            = each.value
  disable_on_destroy = false
}

resource "google_service_account" "role" {
  for_each = toset(module.settings.containers)

  account_id   = "${var.name_prefix}-${each.value}"
  display_name = "vibed ${each.value}"
  depends_on   = [google_project_service.platform]
}

# Each role reads its own secrets and no other.
resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = merge([
    for role in module.settings.containers : {
      for variable, secret in merge(module.settings.secret_environment[role], module.settings.secret_files[role]) :
      "${role}/${variable}" => { role = role, secret = secret }
    }
  ]...)

  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.role[each.value.role].member
}

# Cloud Run of another project pulls the sandbox image from this one.
resource "google_artifact_registry_repository_iam_member" "sandboxes" {
  count = local.sandbox_project == var.project_id ? 0 : 1

  location   = var.image_repository.location
  repository = var.image_repository.name
  role       = "roles/artifactregistry.reader"
  member     = "serviceAccount:${local.agents.run}"
  depends_on = [google_project_service.sandboxes]
}
