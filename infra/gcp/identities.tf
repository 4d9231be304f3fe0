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
  # Whoever deploys an image must be able to read it. Images elsewhere must be public or granted by hand.
  image_repository = var.image_repository != null ? var.image_repository : try(
    regex("^(?P<location>[a-z0-9-]+)-docker\\.pkg\\.dev/${var.project_id}/(?P<name>[^/]+)/", var.sandbox_image), null,
  )
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

# As this account Pub/Sub pushes. It may do nothing; its tokens say who calls.
resource "google_service_account" "push" {
  count = length(var.push_consumers) > 0 ? 1 : 0

  account_id   = "${var.name_prefix}-push"
  display_name = "Pub/Sub pushes to vibed"
  depends_on   = [google_project_service.platform]
}

resource "google_service_account_iam_member" "pushes" {
  count = length(var.push_consumers) > 0 ? 1 : 0

  service_account_id = google_service_account.push[0].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:${local.agents.pubsub}"
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

# Making a preview, or a new revision of it, is deploying the sandbox image.
resource "google_artifact_registry_repository_iam_member" "deployers" {
  for_each = local.image_repository == null ? {} : { for role in ["sandboxrunner", "janitor"] : role => local.email[role] }

  location   = local.image_repository.location
  repository = local.image_repository.name
  role       = "roles/artifactregistry.reader"
  member     = "serviceAccount:${each.value}"
}
