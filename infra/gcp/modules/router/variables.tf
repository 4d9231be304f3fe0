variable "name" {
  description = "Name of the service."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,47}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 49 lower-case letters, digits and dashes."
  }
}

variable "region" {
  description = "Region of Cloud Run."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be like europe-west1."
  }
}

variable "image" {
  description = "Container image of vibed, best by digest."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?/.+[:@].+$", var.image))
    error_message = "image must have a registry and a tag or digest."
  }
}

variable "instances" {
  description = "Least and most instances that run."
  type        = object({ min = number, max = number })

  validation {
    condition     = var.instances.min >= 0 && var.instances.max >= 1 && var.instances.min <= var.instances.max && var.instances.max <= 1000
    error_message = "instances must be 0 ≤ min ≤ max ≤ 1000, with max at least 1."
  }
}

variable "cpu" {
  description = "CPUs of an instance."
  type        = string
  default     = "1"

  validation {
    condition     = contains(["1", "2", "4", "8"], var.cpu)
    error_message = "cpu must be 1, 2, 4 or 8."
  }
}

variable "memory" {
  description = "Memory of an instance."
  type        = string
  default     = "512Mi"

  validation {
    condition     = can(regex("^[0-9]+(Mi|Gi)$", var.memory))
    error_message = "memory must be like 512Mi or 2Gi."
  }
}

variable "service_account" {
  description = "Email of the role's service account."
  type        = string

  validation {
    condition     = can(regex("^[^@]+@[^@]+$", var.service_account))
    error_message = "service_account must be an email address."
  }
}

variable "network" {
  description = "Network and subnetwork, by id, through which private addresses are reached."
  type        = object({ network = string, subnetwork = string })

  validation {
    condition     = var.network.network != "" && var.network.subnetwork != ""
    error_message = "network needs both ids."
  }
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "environment must have names in capitals."
  }
}

variable "secret_environment" {
  description = "Secrets, by the environment variable that holds the latest version's value."
  type        = map(string)

  validation {
    condition     = alltrue([for id in values(var.secret_environment) : id != ""])
    error_message = "secret_environment must name secrets."
  }
}

variable "secret_files" {
  description = "Secrets, by the environment variable that names the file with the latest version's value."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.secret_files) : endswith(name, "_FILE")])
    error_message = "secret_files must be for variables that end in _FILE."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
}

variable "gateway_service" {
  description = "Name of the gateway's service."
  type        = string

  validation {
    condition     = var.gateway_service != ""
    error_message = "gateway_service is required."
  }
}

variable "gateway_domain" {
  description = "Host name of the gateway."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.gateway_domain))
    error_message = "gateway_domain must be a host name in lower case."
  }
}

variable "wildcard_domains" {
  description = "Domains whose hosts, one label below, the router answers: previews and apps."
  type        = set(string)

  validation {
    condition     = alltrue([for d in var.wildcard_domains : can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", d))])
    error_message = "wildcard_domains must be host names in lower case, without the *."
  }
}

variable "dns_zone" {
  description = "Name of a Cloud DNS zone that gets the records of all domains. Null leaves them to you: see the outputs."
  type        = string
  default     = null

  validation {
    condition     = var.dns_zone == null || can(regex("^[a-z][a-z0-9-]{0,61}[a-z0-9]$", var.dns_zone))
    error_message = "dns_zone must be the name of a managed zone."
  }
}
