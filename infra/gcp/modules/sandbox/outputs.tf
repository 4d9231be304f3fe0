output "job" {
  description = "Name of the job that builds."
  value       = google_cloud_run_v2_job.build.name
}

output "service_account" {
  description = "Email of the account as which generated code runs."
  value       = google_service_account.sandbox.email
}

output "bucket" {
  description = "Name of the bucket with sources, snapshots and logs."
  value       = google_storage_bucket.files.name
}
