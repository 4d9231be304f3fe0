# One topic with its schema, its subscriptions and who may use them.

resource "google_pubsub_schema" "payload" {
  count = var.schema == null ? 0 : 1

  project    = var.project_id
  name       = "${var.prefix}${var.schema_name}"
  type       = "PROTOCOL_BUFFER"
  definition = var.schema
}

resource "google_pubsub_topic" "main" {
  project                    = var.project_id
  name                       = "${var.prefix}${var.name}"
  message_retention_duration = var.topic_retention

  dynamic "schema_settings" {
    for_each = google_pubsub_schema.payload
    content {
      schema   = schema_settings.value.id
      encoding = "JSON"
    }
  }
}

resource "google_pubsub_subscription" "main" {
  for_each = var.subscriptions

  project                 = var.project_id
  name                    = "${var.prefix}${each.key}"
  topic                   = google_pubsub_topic.main.id
  enable_message_ordering = each.value.ordered
  # A push may take as long as Pub/Sub allows: a consumer that dies is noticed at once.
  ack_deadline_seconds       = contains(keys(var.push), each.key) ? 600 : each.value.ackDeadlineSeconds
  message_retention_duration = var.retention

  # Never: the default deletes a subscription that nobody pulled for 31 days, with all that waits in it.
  expiration_policy {
    ttl = ""
  }

  # What a consumer that pulls gives back, in a drain, is wanted at once.
  dynamic "retry_policy" {
    for_each = contains(keys(var.push), each.key) ? [each.value] : []
    content {
      minimum_backoff = retry_policy.value.minimumBackoff
      maximum_backoff = retry_policy.value.maximumBackoff
    }
  }

  dynamic "dead_letter_policy" {
    for_each = var.dead_letter_topic == null ? [] : [var.dead_letter_topic]
    content {
      dead_letter_topic     = dead_letter_policy.value.id
      max_delivery_attempts = var.max_delivery_attempts
    }
  }

  dynamic "push_config" {
    for_each = contains(keys(var.push), each.key) ? [var.push[each.key]] : []
    content {
      push_endpoint = push_config.value.endpoint
      oidc_token {
        service_account_email = push_config.value.caller
        audience              = push_config.value.audience
      }
    }
  }
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = var.publishers

  project = var.project_id
  topic   = google_pubsub_topic.main.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_pubsub_subscription_iam_member" "subscriber" {
  for_each = {
    for pair in flatten([
      for subscription, members in var.subscribers : [
        for name, member in members : { key = "${subscription}/${name}", subscription = subscription, member = member }
      ]
    ]) : pair.key => pair
  }

  project      = var.project_id
  subscription = google_pubsub_subscription.main[each.value.subscription].name
  role         = "roles/pubsub.subscriber"
  member       = each.value.member
}

# Without this Pub/Sub forwards nothing and does not even count deliveries, and says nothing about it.
resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = var.dead_letter_topic == null ? {} : var.subscriptions

  project      = var.project_id
  subscription = google_pubsub_subscription.main[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${var.service_agent}"
}
