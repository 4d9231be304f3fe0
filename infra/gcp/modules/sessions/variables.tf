variable "project_id" {
  description = "Project of the database."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project."
  }
}

variable "database" {
  description = "Name of the database: FIRESTORE_DATABASE."
  type        = string

  validation {
    condition     = var.database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "database must be (default), or 4 to 63 lower-case letters, digits and dashes."
  }
}

variable "location" {
  description = "Region or multi-region (eur3, nam5) of the database. It cannot be changed."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+[0-9]$|^[a-z]+-[a-z]+[0-9]+$", var.location))
    error_message = "location must be like europe-west1 or eur3."
  }
}

variable "purge_policy" {
  description = "Whether Firestore itself deletes sessions a week after their time is over, should the janitor's sweep not have."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Whether the database can be read as it was in the last seven days."
  type        = bool
}

variable "deletion_protection" {
  description = "Whether the service refuses to delete the database."
  type        = bool
}

variable "readers" {
  description = "Emails of service accounts that read sessions, by role."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.readers) : can(regex("@", email))])
    error_message = "readers must be email addresses."
  }
}

variable "writers" {
  description = "Emails of service accounts that write sessions, by role."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.writers) : can(regex("@", email))])
    error_message = "writers must be email addresses."
  }
}
