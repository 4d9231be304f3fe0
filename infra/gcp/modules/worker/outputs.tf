output "name" {
  description = "Name of the worker pool or service."
  value       = module.service.name
}
