variable "project_id" {
  description = "Project that is watched."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project."
  }
}

variable "name" {
  description = "Stands before the names of alerts and of the dashboard."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*$", var.name))
    error_message = "name must be lower-case letters and digits."
  }
}

variable "emails" {
  description = "Addresses that alerts are sent to."
  type        = set(string)

  validation {
    condition     = alltrue([for e in var.emails : can(regex("^[^@ ]+@[^@ ]+$", e))])
    error_message = "emails must be email addresses."
  }
}

variable "notification_channels" {
  description = "Ids of existing notification channels that alerts are sent to as well: chat, pager."
  type        = set(string)

  validation {
    condition     = alltrue([for c in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", c))])
    error_message = "notification_channels must be like projects/p/notificationChannels/1."
  }
}

variable "playbooks_url" {
  description = "Where docs/playbooks can be read, without a slash at the end. Each alert links to its page there."
  type        = string

  validation {
    condition     = can(regex("^https://.*[^/]$", var.playbooks_url))
    error_message = "playbooks_url must be an https address without a slash at the end."
  }
}

variable "consumers" {
  description = "Names of the subscriptions that roles consume."
  type        = list(string)

  validation {
    condition     = length(var.consumers) > 0
    error_message = "consumers must name subscriptions."
  }
}

variable "parked_subscription" {
  description = "Name of the subscription of dead letters."
  type        = string

  validation {
    condition     = var.parked_subscription != ""
    error_message = "parked_subscription is required."
  }
}

variable "ticks_topic" {
  description = "Name of the topic that Cloud Scheduler publishes to."
  type        = string

  validation {
    condition     = var.ticks_topic != ""
    error_message = "ticks_topic is required."
  }
}

variable "gateway_service" {
  description = "Name of the gateway's service."
  type        = string

  validation {
    condition     = var.gateway_service != ""
    error_message = "gateway_service is required."
  }
}

variable "router_service" {
  description = "Name of the router's service."
  type        = string

  validation {
    condition     = var.router_service != ""
    error_message = "router_service is required."
  }
}

variable "gateway_domain" {
  description = "Host name of the gateway, which is asked from outside."
  type        = string

  validation {
    condition     = can(regex("\\.", var.gateway_domain))
    error_message = "gateway_domain must be a host name."
  }
}

variable "sandbox_job" {
  description = "Project and name of the job that builds sandboxes."
  type        = object({ project = string, name = string })

  validation {
    condition     = var.sandbox_job.name != ""
    error_message = "sandbox_job needs a name."
  }
}

variable "database" {
  description = "Name of the Cloud SQL instance, and how many connections it takes."
  type        = object({ instance = string, max_connections = number })

  validation {
    condition     = var.database.max_connections > 0
    error_message = "database.max_connections must be positive."
  }
}

variable "redis" {
  description = "Id of the Memorystore instance; null without one."
  # An object, so that it is known when planning whether there is one, although the id is not.
  type    = object({ instance = string })
  default = null

  validation {
    condition     = var.redis == null || can(regex("^projects/[^/]+/locations/[^/]+/instances/[^/]+$", var.redis.instance))
    error_message = "redis.instance must be like projects/p/locations/r/instances/i."
  }
}
