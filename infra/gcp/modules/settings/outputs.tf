output "prefix" {
  description = "Stands before the names of topics, subscriptions and jobs."
  value       = local.prefix
}

output "places" {
  description = "Where each role runs: service, pool or scheduler."
  value       = local.places
}

output "modes" {
  description = "push or pull, for the roles that consume."
  value       = local.modes
}

output "push_audience" {
  description = "Audience of the tokens of pushes."
  value       = local.push_audience
}

output "containers" {
  description = "The roles that run in containers of their own."
  value       = local.containers
}

output "environment" {
  description = "Environment variables by role."
  value       = local.environment
}

output "secret_environment" {
  description = "Ids of the secrets that environment variables hold, by role and variable."
  value       = local.secret_environment
}

output "secret_files" {
  description = "Ids of the secrets whose files environment variables name, by role and variable."
  value       = local.secret_files
}

output "publishers" {
  description = "The roles that publish to each topic."
  value       = local.publishers
}

output "subscribers" {
  description = "The role that consumes each subscription."
  value       = local.subscribers
}

output "session_access" {
  description = "read or write, for the roles that use the session database."
  value       = local.session_access
}
