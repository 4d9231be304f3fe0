# Previews are services that do not exist yet, so rights to them cannot be granted on them, and no predefined role is as small
# as these. They hold for the whole project of the previews: give it nothing else.

resource "google_project_iam_custom_role" "builder" {
  project     = var.project_id
  role_id     = "${var.name_prefix}SandboxBuilder"
  title       = "${var.name_prefix} sandbox builder"
  description = "Makes, changes, reads and removes previews, and follows builds."
  permissions = [
    "run.executions.cancel",
    "run.executions.delete",
    "run.executions.get",
    "run.executions.list",
    "run.jobs.get",
    "run.operations.get",
    "run.services.create",
    "run.services.delete",
    "run.services.get",
    "run.services.list",
    # A preview that browsers can open has its IAM check switched off, which counts as a change of policy.
    "run.services.setIamPolicy",
    "run.services.update",
  ]
}

resource "google_project_iam_custom_role" "cleaner" {
  project     = var.project_id
  role_id     = "${var.name_prefix}SandboxCleaner"
  title       = "${var.name_prefix} sandbox cleaner"
  description = "Finds and removes previews and builds."
  permissions = [
    "run.executions.cancel",
    "run.executions.delete",
    "run.executions.get",
    "run.executions.list",
    "run.jobs.get",
    "run.operations.get",
    "run.services.delete",
    "run.services.get",
    "run.services.list",
  ]
}

resource "google_project_iam_custom_role" "viewer" {
  project     = var.project_id
  role_id     = "${var.name_prefix}SandboxViewer"
  title       = "${var.name_prefix} sandbox viewer"
  description = "Looks at previews and builds."
  permissions = [
    "run.executions.get",
    "run.executions.list",
    "run.jobs.get",
    "run.services.get",
    "run.services.list",
  ]
}

resource "google_project_iam_member" "builder" {
  for_each = var.builders

  project = var.project_id
  role    = google_project_iam_custom_role.builder.id
  member  = "serviceAccount:${each.value}"
}

resource "google_project_iam_member" "cleaner" {
  for_each = var.cleaners

  project = var.project_id
  role    = google_project_iam_custom_role.cleaner.id
  member  = "serviceAccount:${each.value}"
}

resource "google_project_iam_member" "viewer" {
  for_each = var.viewers

  project = var.project_id
  role    = google_project_iam_custom_role.viewer.id
  member  = "serviceAccount:${each.value}"
}
