output "service" {
  description = "Name of the service."
  value       = module.service.name
}
