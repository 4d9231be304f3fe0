output "dashboard" {
  description = "Id of the dashboard."
  value       = google_monitoring_dashboard.main.id
}

output "alerts" {
  description = "Names of the alerts, which are those of their playbooks."
  value = sort(concat(
    keys(google_monitoring_alert_policy.threshold), keys(google_monitoring_alert_policy.absence), keys(google_monitoring_alert_policy.log),
  ))
}
