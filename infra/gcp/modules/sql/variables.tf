variable "name" {
  description = "Name of the instance. A deleted instance's name cannot be used again for a week."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,78}[a-z0-9]$", var.name))
    error_message = "name must be lower-case letters, digits and dashes."
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

variable "tier" {
  description = "Machine of the instance, like db-f1-micro or db-custom-2-7680."
  type        = string

  validation {
    condition     = can(regex("^db-", var.tier))
    error_message = "tier must begin with db-."
  }
}

variable "highly_available" {
  description = "Whether a standby in another zone takes over. It doubles the price."
  type        = bool
}

variable "disk_gb" {
  description = "Size of the disk at the beginning; it grows by itself."
  type        = number

  validation {
    condition     = var.disk_gb >= 10 && var.disk_gb <= 65536
    error_message = "disk_gb must be 10 to 65536."
  }
}

variable "max_connections" {
  description = "Connections that the server takes: more than all instances of all roles hold together."
  type        = number

  validation {
    condition     = var.max_connections >= 25 && var.max_connections <= 10000
    error_message = "max_connections must be 25 to 10000."
  }
}

variable "password_version" {
  description = "Add one to make a new password and a new version of the secret. Restart the roles afterwards."
  type        = number

  validation {
    condition     = var.password_version >= 1 && floor(var.password_version) == var.password_version
    error_message = "password_version must be a whole number from 1."
  }
}

variable "secret_id" {
  description = "Id of the secret that is made for DATABASE_URL."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.secret_id))
    error_message = "secret_id must be letters, digits, dashes and underscores."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform and the service refuse to delete the instance."
  type        = bool
}
