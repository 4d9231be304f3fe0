# A certificate for each domain. A wildcard is proved by DNS, so each domain has a record that must exist before its
# certificate is issued, and stay for renewals.

locals {
  # Certificate by domain: the gateway's host itself, and all hosts below the others.
  hosts = merge(
    { (var.gateway_domain) = var.gateway_domain },
    { for domain in var.wildcard_domains : domain => "*.${domain}" },
  )
}

resource "google_certificate_manager_dns_authorization" "domain" {
  for_each = local.hosts

  name   = "${var.name}-${replace(each.key, ".", "-")}"
  domain = each.key
}

resource "google_certificate_manager_certificate" "domain" {
  for_each = local.hosts

  name = "${var.name}-${replace(each.key, ".", "-")}"

  managed {
    domains            = [each.value]
    dns_authorizations = [google_certificate_manager_dns_authorization.domain[each.key].id]
  }
}

resource "google_certificate_manager_certificate_map" "main" {
  name = var.name
}

resource "google_certificate_manager_certificate_map_entry" "domain" {
  for_each = local.hosts

  name         = "${var.name}-${replace(each.key, ".", "-")}"
  map          = google_certificate_manager_certificate_map.main.name
  hostname     = each.value
  certificates = [google_certificate_manager_certificate.domain[each.key].id]
}

resource "google_dns_record_set" "authorization" {
  for_each = var.dns_zone == null ? {} : local.hosts

  managed_zone = var.dns_zone
  name         = google_certificate_manager_dns_authorization.domain[each.key].dns_resource_record[0].name
  type         = google_certificate_manager_dns_authorization.domain[each.key].dns_resource_record[0].type
  ttl          = 300
  rrdatas      = [google_certificate_manager_dns_authorization.domain[each.key].dns_resource_record[0].data]
}

resource "google_dns_record_set" "address" {
  for_each = var.dns_zone == null ? {} : local.hosts

  managed_zone = var.dns_zone
  name         = "${each.value}."
  type         = "A"
  ttl          = 300
  rrdatas      = [google_compute_global_address.main.address]
}
