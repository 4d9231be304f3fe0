output "instance" {
  description = "Name of the instance."
  value       = google_sql_database_instance.main.name
}

output "secret_id" {
  description = "Id of the secret with DATABASE_URL, once it has a version."
  value       = google_secret_manager_secret.url.secret_id
  depends_on  = [google_secret_manager_secret_version.url]
}
