variable "project_id" {
  description = "Project of the topics and of the Firestore database."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project: 6 to 30 lower-case letters, digits and dashes."
  }
}

variable "name_prefix" {
  description = "Stands before the name of every resource, with a dash, so that several installations can share a project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{0,11}$", var.name_prefix))
    error_message = "name_prefix must be 1 to 12 lower-case letters and digits, beginning with a letter."
  }
}

variable "preview_domain" {
  description = "Previews have their hosts below it, like preview.example.com. Use a domain of its own, not one with cookies."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.preview_domain))
    error_message = "preview_domain must be a host name in lower case."
  }
}

variable "app_domain" {
  description = "Deployed apps have their hosts below it, like apps.example.com."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.app_domain))
    error_message = "app_domain must be a host name in lower case."
  }
}

variable "scheduler_location" {
  description = "Region of the jobs of Cloud Scheduler."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.scheduler_location))
    error_message = "scheduler_location must be like europe-west1."
  }
}

variable "session_backend" {
  description = "Where agent sessions are kept: firestore, or postgres, the database of everything else."
  type        = string

  validation {
    condition     = contains(["firestore", "postgres"], var.session_backend)
    error_message = "session_backend must be firestore or postgres."
  }
}

variable "firestore_database" {
  description = "Name of the Firestore database. Not used with session_backend postgres."
  type        = string

  validation {
    condition     = var.firestore_database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.firestore_database))
    error_message = "firestore_database must be (default), or 4 to 63 lower-case letters, digits and dashes."
  }
}

variable "session_ttl" {
  description = "How long a session lives after its last change, in Go's spelling (720h). 0s is for ever."
  type        = string

  validation {
    condition     = can(regex("^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", var.session_ttl)) && var.session_ttl != ""
    error_message = "session_ttl must be a duration like 720h or 0s."
  }
}

variable "limit_backend" {
  description = "Where rate limits are counted: redis, or sql, the database of everything else."
  type        = string

  validation {
    condition     = contains(["redis", "sql"], var.limit_backend)
    error_message = "limit_backend must be redis or sql."
  }
}

variable "api_rate_limit" {
  description = "Whether each call of the gateway is charged to its caller's limit."
  type        = bool
  default     = true
}

variable "agent_host_url" {
  description = "Address that is called when a job of a session is due. Empty is none, and then due jobs wait."
  type        = string

  validation {
    condition     = var.agent_host_url == "" || can(regex("^https://[^/@?#]+(/[^@?#]*)?$", var.agent_host_url))
    error_message = "agent_host_url must be an https address without user, query and fragment."
  }
}

variable "bucket" {
  description = "Name of the bucket with uploads, payloads and what sandboxes keep."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", var.bucket))
    error_message = "bucket must be the name of a bucket."
  }
}

variable "sandboxes" {
  description = "Where sandboxes run: project, region and name of the job that builds, the image of previews, the account that has no rights, the size of a preview, and a network for what previews send, or null."
  type = object({
    project_id      = string
    region          = string
    job             = string
    image           = string
    service_account = string
    cpu             = string
    memory          = string
    network         = object({ network = string, subnetwork = string })
  })

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.sandboxes.project_id)) && can(regex("^[a-z]+-[a-z]+[0-9]+$", var.sandboxes.region))
    error_message = "sandboxes.project_id must be the id of a project, and sandboxes.region like europe-west1."
  }
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.sandboxes.job)) && can(regex("^[a-z0-9.-]+(:[0-9]+)?/.+[:@].+$", var.sandboxes.image))
    error_message = "sandboxes.job must be the name of a job, and sandboxes.image have a registry and a tag or digest."
  }
  validation {
    condition     = can(regex("^[^@]+@[^@]+$", var.sandboxes.service_account))
    error_message = "sandboxes.service_account must be an email address."
  }
  validation {
    condition     = contains(["1", "2", "4", "8"], var.sandboxes.cpu) && can(regex("^[0-9]+(Mi|Gi)$", var.sandboxes.memory))
    error_message = "sandboxes.cpu must be 1, 2, 4 or 8, and sandboxes.memory like 1Gi."
  }
}

variable "log_level" {
  description = "Least level of log lines: debug, info, warn or error."
  type        = string

  validation {
    condition     = contains(["debug", "info", "warn", "error"], var.log_level)
    error_message = "log_level must be debug, info, warn or error."
  }
}

variable "secrets" {
  description = "Ids of the secrets in Secret Manager. Their values never pass through here. redis_url, agent_host_key and jwt may be empty."
  type = object({
    database_url   = string
    redis_url      = string
    api_key        = string
    agent_host_key = string
    jwt            = string
  })

  validation {
    condition     = var.secrets.database_url != "" && var.secrets.api_key != ""
    error_message = "secrets.database_url and secrets.api_key are required."
  }
  validation {
    condition     = alltrue([for id in values(var.secrets) : id == "" || can(regex("^[A-Za-z0-9_-]{1,255}$", id))])
    error_message = "secrets must be ids of secrets, not values: letters, digits, dashes and underscores."
  }
  validation {
    condition     = var.limit_backend != "redis" || var.secrets.redis_url != ""
    error_message = "secrets.redis_url is required with limit_backend redis."
  }
}

variable "push_consumers" {
  description = "Subscriptions that are pushed."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.push_consumers : can(regex("^[a-z]+$", name))])
    error_message = "push_consumers must be names of subscriptions."
  }
}

variable "push_account" {
  description = "Email of the service account as which Pub/Sub pushes. Required with push_consumers."
  type        = string
  default     = ""

  validation {
    condition     = length(var.push_consumers) == 0 || can(regex("^[^@]+@[^@]+$", var.push_account))
    error_message = "push_account must be an email address with push_consumers."
  }
}

variable "environment" {
  description = "More settings for every role, by the names in cmd/internal/app/config*.go. They win over those made here."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "environment must have names in capitals."
  }
  validation {
    condition     = length(setintersection(keys(var.environment), ["DATABASE_URL", "SESSION_DATABASE_URL", "REDIS_URL"])) == 0
    error_message = "environment must not hold addresses with passwords: those come from Secret Manager."
  }
}
