output "service" {
  description = "Name of the service."
  value       = module.service.name
}

output "address" {
  description = "Address of the load balancer, for A records of all hosts."
  value       = google_compute_global_address.main.address
}

output "dns_records" {
  description = "Records that must exist before certificates are issued, by domain."
  value = {
    for domain, authorization in google_certificate_manager_dns_authorization.domain : domain => {
      name = authorization.dns_resource_record[0].name
      type = authorization.dns_resource_record[0].type
      data = authorization.dns_resource_record[0].data
    }
  }
}
