output "jobs" {
  description = "Names of the jobs, by schedule."
  value       = { for name, job in google_cloud_scheduler_job.tick : name => job.name }
}
