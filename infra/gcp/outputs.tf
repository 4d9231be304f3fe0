output "address" {
  description = "Address of the load balancer. Point A records of the gateway's host and of *.<preview_domain> and *.<app_domain> to it."
  value       = module.router.address
}

output "dns_records" {
  description = "Records that must exist before certificates are issued. Made for you with dns_zone."
  value       = module.router.dns_records
}

output "gateway_url" {
  description = "Address for VIBE_ADDR and for agent hosts."
  value       = "https://${var.gateway_domain}"
}

output "pubsub_prefix" {
  description = "PUBSUB_PREFIX of everything that publishes here."
  value       = module.settings.prefix
}

output "topics" {
  description = "Ids of the topics."
  value       = merge({ for name, topic in module.topic : name => topic.id }, { (local.dead_letters) = module.dead_letters.id })
}

output "service_accounts" {
  description = "Emails of the accounts, by role; sandbox is the one without rights."
  value       = merge(local.email, { sandbox = module.sandbox.service_account })
}

output "sandbox_job" {
  description = "Name of the job that builds."
  value       = module.sandbox.job
}

output "bucket" {
  description = "Name of the bucket with sources, snapshots and logs."
  value       = module.sandbox.bucket
}

output "schedules" {
  description = "Names of the Cloud Scheduler jobs."
  value       = module.schedule.jobs
}

output "workers" {
  description = "Names of the worker pools, by role."
  value       = { for role, worker in module.worker : role => worker.name }
}

output "sessions_database" {
  description = "Name of the Firestore database; null with session_backend postgres."
  value       = one(module.sessions[*].database)
}

output "alerts" {
  description = "Names of the alerts, which are those of the pages in docs/playbooks."
  value       = module.observability.alerts
}

output "dashboard" {
  description = "Id of the dashboard."
  value       = module.observability.dashboard
}
