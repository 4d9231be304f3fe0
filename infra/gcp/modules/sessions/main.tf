# The database of agent sessions. What is indexed follows the driver's queries: the comment of
# platform/session/firestoresession lists both, and tests compare. Every query is by one field, so there is no composite
# index.

locals {
  # Indexed for nothing, these would cost write latency and money, and times that only rise make a hot spot.
  exempt = {
    agentSessions       = ["commit", "version", "initialized", "present", "createdAt", "updatedAt", "expireAt", "alarmAt", "purgeAt", "ring", "parts", "data"]
    agentSessionChunks  = ["data"]
    agentSessionUploads = ["chunks", "batch"]
  }
  fields = merge([
    for collection, fields in local.exempt : { for field in fields : "${collection}.${field}" => { collection = collection, field = field } }
  ]...)
}

resource "google_firestore_database" "sessions" {
  project     = var.project_id
  name        = var.database
  location_id = var.location
  type        = "FIRESTORE_NATIVE"
  # The driver commits with preconditions and uses no transactions, so nothing waits for a lock.
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"
}

resource "google_firestore_field" "exempt" {
  for_each = local.fields

  project    = var.project_id
  database   = google_firestore_database.sessions.name
  collection = each.value.collection
  field      = each.value.field

  # No index at all.
  index_config {}

  # On purgeAt and on nothing else: the janitor removes a session with its chunks, and a session with chunks has no
  # purgeAt. A policy on expireAt would leave chunks behind.
  dynamic "ttl_config" {
    for_each = var.purge_policy && each.key == "agentSessions.purgeAt" ? [true] : []
    content {}
  }
}

# Rights in Firestore are granted on the project; the condition narrows them to this database.
resource "google_project_iam_member" "reader" {
  for_each = var.readers

  project = var.project_id
  role    = "roles/datastore.viewer"
  member  = "serviceAccount:${each.value}"

  condition {
    title      = "sessions only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.sessions.name}\""
  }
}

resource "google_project_iam_member" "writer" {
  for_each = var.writers

  project = var.project_id
  role    = "roles/datastore.user"
  member  = "serviceAccount:${each.value}"

  condition {
    title      = "sessions only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.sessions.name}\""
  }
}
