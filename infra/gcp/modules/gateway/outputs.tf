output "service" {
  description = "Name of the service."
  value       = google_cloud_run_v2_service.main.name
}
