output "name" {
  description = "Name of the worker pool or service."
  value       = var.mode == "pull" ? google_cloud_run_v2_worker_pool.pull[0].name : google_cloud_run_v2_service.push[0].name
}
