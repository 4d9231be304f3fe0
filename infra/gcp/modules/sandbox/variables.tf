variable "project_id" {
  description = "Project of the job and of the previews. A project of its own keeps the runner's rights away from the platform's services."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project."
  }
}

variable "platform_project_id" {
  description = "Project of the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.platform_project_id))
    error_message = "platform_project_id must be the id of a project."
  }
}

variable "name_prefix" {
  description = "Stands before the names, with a dash: with vibesdk the job is vibesdk-sandbox-job."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{0,11}$", var.name_prefix))
    error_message = "name_prefix must be 1 to 12 lower-case letters and digits."
  }
}

variable "region" {
  description = "Region of the job, of the previews and of the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be like europe-west1."
  }
}

variable "image" {
  description = "Container image with sandboxd, node, bun and git: infra/docker/SandboxDockerfile."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?/.+[:@].+$", var.image))
    error_message = "image must have a registry and a tag or digest."
  }
}

variable "cpu" {
  description = "CPUs of a build."
  type        = string

  validation {
    condition     = contains(["1", "2", "4", "8"], var.cpu)
    error_message = "cpu must be 1, 2, 4 or 8."
  }
}

variable "memory" {
  description = "Memory of a build; its files are kept in memory as well."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+(Mi|Gi)$", var.memory))
    error_message = "memory must be like 2Gi."
  }
}

variable "build_timeout_seconds" {
  description = "After how long Cloud Run ends a build: more than SANDBOX_BUILD_TIMEOUT, by which vibed gives it up."
  type        = number
  default     = 900

  validation {
    condition     = var.build_timeout_seconds >= 60 && var.build_timeout_seconds <= 86400
    error_message = "build_timeout_seconds must be 60 to 86400."
  }
}

variable "bucket_location" {
  description = "Location of the bucket: the region, or a multi-region around it."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+$", var.bucket_location))
    error_message = "bucket_location must be a location of Cloud Storage."
  }
}

variable "keep_days" {
  description = "After how many days objects are deleted, by the beginning of their names. What is named nowhere is kept."
  type        = map(number)
  default = {
    # Uploads are used again for a day, and a sandbox that was asked for then may build again for another.
    "sources/" = 3
    # Payloads of mutations, which may come again from dead letters for a month.
    "mutations/" = 32
    # What sandboxes keep, should it outlive them; signs that a generation was deleted, as long as a message can come again.
    "sandboxes/" = 30
    "graves/"    = 32
  }

  validation {
    condition     = alltrue([for days in values(var.keep_days) : days >= 3 && floor(days) == days])
    error_message = "keep_days must be whole days, at least 3: a sandbox lives for a day, and its source is used again for another."
  }
}

variable "bucket_users" {
  description = "Emails of service accounts that read and write objects, by role."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.bucket_users) : can(regex("@", email))])
    error_message = "bucket_users must be email addresses."
  }
}

variable "bucket_readers" {
  description = "Emails of service accounts that read objects, by role."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.bucket_readers) : can(regex("@", email))])
    error_message = "bucket_readers must be email addresses."
  }
}

variable "builders" {
  description = "Emails of the service accounts that start builds, make previews and remove them, by role."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.builders) : can(regex("@", email))])
    error_message = "builders must be email addresses."
  }
}

variable "cleaners" {
  description = "Emails of the service accounts that find and remove what belongs to nobody, by role."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.cleaners) : can(regex("@", email))])
    error_message = "cleaners must be email addresses."
  }
}

variable "viewers" {
  description = "Emails of the service accounts that look at builds and previews, by role."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.viewers) : can(regex("@", email))])
    error_message = "viewers must be email addresses."
  }
}
