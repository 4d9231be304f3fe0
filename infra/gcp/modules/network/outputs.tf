output "network" {
  description = "Id of the network, once services in it can be reached."
  value       = google_compute_network.main.id
  depends_on  = [google_service_networking_connection.services]
}

output "subnetwork" {
  description = "Id of the subnetwork of Cloud Run instances."
  value       = google_compute_subnetwork.run.id
}

output "services_range" {
  description = "Name of the addresses of Cloud SQL and Memorystore."
  value       = google_compute_global_address.services.name
}
