variable "name" {
  description = "Name of the network and of its parts."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$", var.name))
    error_message = "name must be up to 42 lower-case letters, digits and dashes."
  }
}

variable "region" {
  description = "Region of the subnetwork."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be like europe-west1."
  }
}

variable "range" {
  description = "Addresses of Cloud Run instances. Each instance takes two for a while: a /24 is enough for about a hundred."
  type        = string

  validation {
    condition     = can(cidrhost(var.range, 0)) && can(regex("/(1[6-9]|2[0-6])$", var.range))
    error_message = "range must be a CIDR block from /16 to /26."
  }
}
