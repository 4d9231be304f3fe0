# Alerts, each by the name of its page in docs/playbooks: tests hold both lists together. What is not here is left out on
# purpose: latency of requests says nothing where WebSockets count as requests, and errors of the router are mostly those
# of the apps behind it.

locals {
  pubsub = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription"
  # one_of takes a list of quoted names.
  consumers = join(", ", [for s in var.consumers : "\"${s}\""])
  database  = "resource.type = \"cloudsql_database\" AND resource.label.database_id = \"${var.project_id}:${var.database.instance}\" AND metric.type = \"cloudsql.googleapis.com/database"
  requests  = "resource.type = \"cloud_run_revision\" AND resource.label.service_name = \"${var.gateway_service}\" AND metric.type = \"run.googleapis.com/request_count\""
  builds    = "resource.type = \"cloud_run_job\" AND resource.label.job_name = \"${var.sandbox_job.name}\" AND metric.type = \"run.googleapis.com/job/completed_execution_count\""

  thresholds = {
    messages-wait = {
      title       = "Messages wait for more than 10 minutes"
      severity    = "CRITICAL"
      filter      = "${local.pubsub}/oldest_unacked_message_age\" AND resource.label.subscription_id = one_of(${local.consumers})"
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_MAX"
      group_by    = ["resource.label.subscription_id"]
      comparison  = "COMPARISON_GT"
      threshold   = 600
      period      = "60s"
      duration    = "300s"
    }
    broker-dead-letters = {
      title       = "Pub/Sub itself gave up on messages"
      severity    = "CRITICAL"
      filter      = "${local.pubsub}/dead_letter_message_count\" AND resource.label.subscription_id = one_of(${local.consumers})"
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      group_by    = ["resource.label.subscription_id"]
      comparison  = "COMPARISON_GT"
      threshold   = 0
      period      = "300s"
      duration    = "0s"
    }
    gateway-errors = {
      title       = "More than 2 % of the gateway's answers are errors of its own"
      severity    = "ERROR"
      filter      = "${local.requests} AND metric.label.response_code_class = \"5xx\""
      denominator = local.requests
      aligner     = "ALIGN_RATE"
      reducer     = "REDUCE_SUM"
      group_by    = ["resource.label.service_name"]
      comparison  = "COMPARISON_GT"
      threshold   = 0.02
      period      = "300s"
      duration    = "300s"
    }
    gateway-down = {
      title       = "The gateway does not answer from outside"
      severity    = "CRITICAL"
      filter      = "resource.type = \"uptime_url\" AND metric.type = \"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.label.check_id = \"${google_monitoring_uptime_check_config.gateway.uptime_check_id}\""
      denominator = null
      aligner     = "ALIGN_FRACTION_TRUE"
      reducer     = "REDUCE_MEAN"
      group_by    = ["resource.label.host"]
      comparison  = "COMPARISON_LT"
      threshold   = 0.5
      period      = "120s"
      duration    = "120s"
    }
    builds-fail = {
      title       = "Four of five builds fail"
      severity    = "ERROR"
      filter      = "${local.builds} AND metric.label.result = \"failed\""
      denominator = local.builds
      aligner     = "ALIGN_RATE"
      reducer     = "REDUCE_SUM"
      group_by    = ["resource.label.job_name"]
      comparison  = "COMPARISON_GT"
      threshold   = 0.8
      period      = "900s"
      duration    = "1800s"
    }
    database-full = {
      title       = "The database's disk is 85 % full"
      severity    = "ERROR"
      filter      = "${local.database}/disk/utilization\""
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_MAX"
      group_by    = ["resource.label.database_id"]
      comparison  = "COMPARISON_GT"
      threshold   = 0.85
      period      = "300s"
      duration    = "300s"
    }
    database-busy = {
      title       = "The database's processors are busy"
      severity    = "WARNING"
      filter      = "${local.database}/cpu/utilization\""
      denominator = null
      aligner     = "ALIGN_MEAN"
      reducer     = "REDUCE_MEAN"
      group_by    = ["resource.label.database_id"]
      comparison  = "COMPARISON_GT"
      threshold   = 0.9
      period      = "300s"
      duration    = "900s"
    }
    database-connections = {
      title       = "Four of five connections of the database are taken"
      severity    = "ERROR"
      filter      = "${local.database}/postgresql/num_backends\""
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_SUM"
      group_by    = ["resource.label.database_id"]
      comparison  = "COMPARISON_GT"
      threshold   = floor(0.8 * var.database.max_connections)
      period      = "60s"
      duration    = "300s"
    }
    limits-full = {
      title       = "Redis has little memory left"
      severity    = "ERROR"
      filter      = "resource.type = \"redis_instance\" AND resource.label.instance_id = \"${var.redis == null ? "" : var.redis.instance}\" AND metric.type = \"redis.googleapis.com/stats/memory/usage_ratio\""
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_MAX"
      group_by    = ["resource.label.instance_id"]
      comparison  = "COMPARISON_GT"
      threshold   = 0.8
      period      = "60s"
      duration    = "300s"
    }
    quota-exceeded = {
      title       = "A quota of Cloud Run, Pub/Sub or Firestore is used up"
      severity    = "ERROR"
      filter      = "resource.type = \"consumer_quota\" AND resource.label.service = one_of(\"run.googleapis.com\", \"pubsub.googleapis.com\", \"firestore.googleapis.com\") AND metric.type = \"serviceruntime.googleapis.com/quota/exceeded\""
      denominator = null
      aligner     = "ALIGN_COUNT_TRUE"
      reducer     = "REDUCE_SUM"
      group_by    = ["resource.label.service", "metric.label.quota_metric"]
      comparison  = "COMPARISON_GT"
      threshold   = 0
      period      = "300s"
      duration    = "0s"
    }
  }

  # The janitor is a pool, or a service when its ticks are pushed. In filters of logs OR comes before AND, hence the parentheses.
  janitor = {
    pulled = "(resource.type=\"cloud_run_worker_pool\" AND resource.labels.worker_pool_name=\"${var.name}-janitor\")"
    pushed = "(resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}-janitor\")"
  }

  absences = {
    ticks-missing = {
      title    = "No tick for 10 minutes"
      severity = "CRITICAL"
      filter   = "resource.type = \"pubsub_topic\" AND resource.label.topic_id = \"${var.ticks_topic}\" AND metric.type = \"pubsub.googleapis.com/topic/send_request_count\""
      duration = "600s"
    }
  }

  logs = {
    # The janitor says so at every tick, by DEAD_LETTER_ALARM_AGE and DEAD_LETTER_ALARM_COUNT.
    dead-letters = {
      title    = "Dead letters wait for a person"
      severity = "WARNING"
      filter   = "(${join(" OR ", values(local.janitor))}) AND jsonPayload.message=\"dead letters wait for a person\""
    }
    ticks-fail = {
      title    = "Cloud Scheduler could not publish a tick"
      severity = "ERROR"
      filter   = "resource.type=\"cloud_scheduler_job\" AND severity>=ERROR AND resource.labels.job_id=~\"^${var.name}-\""
    }
  }

  channels = concat([for c in google_monitoring_notification_channel.email : c.id], tolist(var.notification_channels))
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  display_name = each.value
  type         = "email"
  labels       = { email_address = each.value }
}

resource "google_monitoring_uptime_check_config" "gateway" {
  display_name = "${var.name} gateway"
  period       = "60s"
  timeout      = "10s"

  http_check {
    path         = "/readyz"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = var.gateway_domain }
  }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = { for name, alert in local.thresholds : name => alert if name != "limits-full" || var.redis != null }

  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.value.title
    condition_threshold {
      filter             = each.value.filter
      denominator_filter = each.value.denominator
      comparison         = each.value.comparison
      threshold_value    = each.value.threshold
      duration           = each.value.duration

      aggregations {
        alignment_period     = each.value.period
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group_by
      }
      dynamic "denominator_aggregations" {
        for_each = each.value.denominator == null ? [] : [true]
        content {
          alignment_period     = each.value.period
          per_series_aligner   = each.value.aligner
          cross_series_reducer = each.value.reducer
          group_by_fields      = each.value.group_by
        }
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "What to do: [${each.key}](${var.playbooks_url}/${each.key}.md)"
    links {
      display_name = "Playbook"
      url          = "${var.playbooks_url}/${each.key}.md"
    }
  }
}

resource "google_monitoring_alert_policy" "absence" {
  for_each = local.absences

  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.value.title
    condition_absent {
      filter   = each.value.filter
      duration = each.value.duration

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "What to do: [${each.key}](${var.playbooks_url}/${each.key}.md)"
    links {
      display_name = "Playbook"
      url          = "${var.playbooks_url}/${each.key}.md"
    }
  }
}

resource "google_monitoring_alert_policy" "log" {
  for_each = local.logs

  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.value.title
    condition_matched_log {
      filter = each.value.filter
    }
  }

  alert_strategy {
    auto_close = "86400s"
    # Alerts on logs need a limit.
    notification_rate_limit {
      period = "1800s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "What to do: [${each.key}](${var.playbooks_url}/${each.key}.md)"
    links {
      display_name = "Playbook"
      url          = "${var.playbooks_url}/${each.key}.md"
    }
  }
}
