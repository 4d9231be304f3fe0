variable "project_id" {
  description = "Project of the jobs."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project: 6 to 30 lower-case letters, digits and dashes."
  }
}

variable "region" {
  description = "Region of the jobs."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be like europe-west1."
  }
}

variable "prefix" {
  description = "Stands before the names of the jobs: --prefix of vibectl schedules."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*-$", var.prefix))
    error_message = "prefix must begin with a letter and end with a dash."
  }
}

variable "schedules" {
  description = "The list of infra/schedules.yaml."
  type = list(object({
    name        = string
    description = string
    cron        = string
    timeZone    = string
    topic       = string
    payload     = string
  }))

  validation {
    condition     = length(distinct([for s in var.schedules : s.name])) == length(var.schedules)
    error_message = "schedules must have different names."
  }
  validation {
    condition     = alltrue([for s in var.schedules : length(split(" ", s.cron)) == 5])
    error_message = "schedules: cron must have five fields."
  }
  validation {
    condition     = alltrue([for s in var.schedules : can(jsondecode(s.payload))])
    error_message = "schedules: payload must be JSON."
  }
}

variable "topics" {
  description = "Ids of the topics, by their names in schedules."
  type        = map(string)

  validation {
    condition     = length(setsubtract([for s in var.schedules : s.topic], keys(var.topics))) == 0
    error_message = "topics must have the topic of each schedule."
  }
}

variable "paused" {
  description = "Names of schedules that do not run. Pausing by hand, in the console or with vibectl, lasts until the next apply."
  type        = set(string)

  validation {
    condition     = length(setsubtract(var.paused, [for s in var.schedules : s.name])) == 0
    error_message = "paused must name schedules."
  }
}

variable "operators" {
  description = "Emails of accounts that list, pause and resume the jobs, by role: the gateway, for its console."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.operators) : can(regex("^[^@]+@[^@]+$", email))])
    error_message = "operators must be email addresses of accounts."
  }
}
