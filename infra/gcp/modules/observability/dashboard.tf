# One page for a person on duty: what waits, what failed, what is slow, what is full.

locals {
  # A chart is a filter, how each series is made regular, how series are put together, and by what they are told apart.
  charts = [
    {
      title   = "Oldest message, by subscription (s)"
      filter  = "${local.pubsub}/oldest_unacked_message_age\""
      aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", group_by = ["resource.label.subscription_id"]
    },
    {
      title   = "Messages that wait, by subscription"
      filter  = "${local.pubsub}/num_undelivered_messages\""
      aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group_by = ["resource.label.subscription_id"]
    },
    {
      title   = "Messages published per second, by topic"
      filter  = "resource.type = \"pubsub_topic\" AND metric.type = \"pubsub.googleapis.com/topic/send_request_count\""
      aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = ["resource.label.topic_id"]
    },
    {
      title   = "Leases that ran out per second, by subscription"
      filter  = "${local.pubsub}/expired_ack_deadlines_count\""
      aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = ["resource.label.subscription_id"]
    },
    {
      title   = "Requests per second, by door and class of answer"
      filter  = "resource.type = \"cloud_run_revision\" AND resource.label.service_name = one_of(\"${var.gateway_service}\", \"${var.router_service}\") AND metric.type = \"run.googleapis.com/request_count\""
      aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = ["resource.label.service_name", "metric.label.response_code_class"]
    },
    {
      title   = "Instances, by door"
      filter  = "resource.type = \"cloud_run_revision\" AND resource.label.service_name = one_of(\"${var.gateway_service}\", \"${var.router_service}\") AND metric.type = \"run.googleapis.com/container/instance_count\""
      aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group_by = ["resource.label.service_name"]
    },
    {
      title   = "Builds, by result"
      filter  = local.builds
      aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = ["metric.label.result"]
    },
    {
      title   = "Processors of the database"
      filter  = "${local.database}/cpu/utilization\""
      aligner = "ALIGN_MEAN", reducer = "REDUCE_MEAN", group_by = ["resource.label.database_id"]
    },
    {
      title   = "Connections of the database"
      filter  = "${local.database}/postgresql/num_backends\""
      aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group_by = ["resource.label.database_id"]
    },
  ]
}

resource "google_monitoring_dashboard" "main" {
  dashboard_json = jsonencode({
    displayName = "${var.name} (project ${var.sandbox_job.project} builds)"
    mosaicLayout = {
      columns = 12
      tiles = [
        for i, chart in local.charts : {
          xPos   = 4 * (i % 3)
          yPos   = 4 * floor(i / 3)
          width  = 4
          height = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "60s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = chart.reducer
                      groupByFields      = chart.group_by
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })
}
