output "instance" {
  description = "Id of the instance."
  value       = google_redis_instance.limits.id
}

output "secret_id" {
  description = "Id of the secret with REDIS_URL, once it has a version."
  value       = google_secret_manager_secret.url.secret_id
  depends_on  = [google_secret_manager_secret_version.url]
}
