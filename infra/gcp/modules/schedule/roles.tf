# Cloud Scheduler knows rights on projects only, and each predefined role that may pause a job may delete it as well.

resource "google_project_iam_custom_role" "operator" {
  project     = var.project_id
  role_id     = "${replace(var.prefix, "-", "")}ScheduleOperator"
  title       = "${replace(var.prefix, "-", "")} schedule operator"
  description = "Lists, pauses and resumes jobs of Cloud Scheduler."
  permissions = [
    "cloudscheduler.jobs.enable",
    "cloudscheduler.jobs.get",
    "cloudscheduler.jobs.list",
    "cloudscheduler.jobs.pause",
  ]
}

resource "google_project_iam_member" "operator" {
  for_each = var.operators

  project = var.project_id
  role    = google_project_iam_custom_role.operator.id
  member  = "serviceAccount:${each.value}"
}
