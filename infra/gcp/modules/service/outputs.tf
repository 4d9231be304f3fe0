output "name" {
  description = "Name of the service or worker pool."
  value       = one(concat(google_cloud_run_v2_service.main[*].name, google_cloud_run_v2_worker_pool.main[*].name))
}
