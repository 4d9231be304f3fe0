# The ticks, one job each. vibectl schedules reads the same file and makes the same jobs: cmd/vibectl tests hold both
# to the same description, retry and payload.

resource "google_cloud_scheduler_job" "tick" {
  for_each = { for s in var.schedules : s.name => s }

  name        = "${var.prefix}${each.key}"
  region      = var.region
  description = "${each.value.description} [infra/schedules.yaml]"
  schedule    = each.value.cron
  time_zone   = each.value.timeZone
  paused      = contains(var.paused, each.key)

  # A sweep looks at what is so when it runs: the next tick makes up for a lost one, so a few seconds of trying are enough.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "2s"
    max_backoff_duration = "10s"
    max_doublings        = 2
    max_retry_duration   = "30s"
  }

  pubsub_target {
    topic_name = var.topics[each.value.topic]
    data       = base64encode(each.value.payload)
  }
}
