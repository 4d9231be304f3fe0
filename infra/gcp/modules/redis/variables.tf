variable "name" {
  description = "Name of the instance."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", var.name))
    error_message = "name must be up to 40 lower-case letters, digits and dashes."
  }
}

variable "region" {
  description = "Region of the instance."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be like europe-west1."
  }
}

variable "network" {
  description = "Id of the network in which the instance has its address, once services in it can be reached."
  type        = string

  validation {
    condition     = var.network != ""
    error_message = "network is required."
  }
}

variable "services_range" {
  description = "Name of the addresses that services have in the network."
  type        = string

  validation {
    condition     = var.services_range != ""
    error_message = "services_range is required."
  }
}

variable "memory_gb" {
  description = "Memory of the instance. A counted key takes about 200 bytes."
  type        = number

  validation {
    condition     = var.memory_gb >= 1 && var.memory_gb <= 300 && floor(var.memory_gb) == var.memory_gb
    error_message = "memory_gb must be a whole number from 1 to 300."
  }
}

variable "highly_available" {
  description = "Whether a replica in another zone takes over. A failover can forget the last moments: limits admit a little more then."
  type        = bool
}

variable "secret_id" {
  description = "Id of the secret that is made for REDIS_URL."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.secret_id))
    error_message = "secret_id must be letters, digits, dashes and underscores."
  }
}
