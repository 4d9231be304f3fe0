variable "name" {
  description = "Name of the service or worker pool."
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

variable "role" {
  description = "The role of vibed that runs here."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+$", var.role))
    error_message = "role must be the name of a role."
  }
}

variable "calls" {
  description = "How a service is called: from where, how long a request may take, whether it answers /healthz and /readyz, and whether it works between requests. Null makes a worker pool, which nobody calls."
  type = object({
    ingress         = string
    timeout_seconds = number
    health          = bool
    works_between   = bool
  })
  default = null

  validation {
    condition     = var.calls == null || contains(["INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "INGRESS_TRAFFIC_INTERNAL_ONLY"], try(var.calls.ingress, ""))
    error_message = "calls.ingress must be INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER or INGRESS_TRAFFIC_INTERNAL_ONLY."
  }
  validation {
    condition     = var.calls == null || try(var.calls.timeout_seconds >= 1 && var.calls.timeout_seconds <= 3600 && floor(var.calls.timeout_seconds) == var.calls.timeout_seconds, false)
    error_message = "calls.timeout_seconds must be a whole number from 1 to 3600, which is Cloud Run's limit."
  }
}

variable "instances" {
  description = "Least and most instances of a service. A worker pool has max, always."
  type        = object({ min = number, max = number })

  validation {
    condition     = var.instances.min >= 0 && var.instances.max >= 1 && var.instances.min <= var.instances.max && var.instances.max <= 1000
    error_message = "instances must be 0 ≤ min ≤ max ≤ 1000, with max at least 1."
  }
  validation {
    condition     = alltrue([for n in [var.instances.min, var.instances.max] : floor(n) == n])
    error_message = "instances must be whole numbers."
  }
}

variable "cpu" {
  description = "CPUs of an instance, as Cloud Run spells them."
  type        = string
  default     = "1"

  validation {
    condition     = contains(["1", "2", "4", "6", "8"], var.cpu)
    error_message = "cpu must be 1, 2, 4, 6 or 8."
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
  description = "Whether Terraform refuses to delete it."
  type        = bool
}
