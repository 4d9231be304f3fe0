variable "project_id" {
  description = "Project of the topic."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project."
  }
}

variable "prefix" {
  description = "Stands before the names of topic, schema and subscriptions: PUBSUB_PREFIX of vibed."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*-$", var.prefix))
    error_message = "prefix must begin with a letter and end with a dash."
  }
}

variable "name" {
  description = "Name in the topic table, events/topics.go."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,60}$", var.name))
    error_message = "name must be lower-case letters, digits and dashes."
  }
}

variable "schema" {
  description = "Source text of the .proto file that payloads must match, in JSON encoding. Null is none."
  type        = string
  default     = null

  validation {
    condition     = var.schema == null || can(regex("syntax = \"proto3\";", var.schema))
    error_message = "schema must be the text of a proto3 file."
  }
}

variable "schema_name" {
  description = "Name of the schema, without the prefix. Required with schema."
  type        = string
  default     = null

  validation {
    condition     = (var.schema_name == null) == (var.schema == null)
    error_message = "schema_name and schema go together."
  }
}

variable "subscriptions" {
  description = "Subscriptions by name, as in the topic table."
  type = map(object({
    ordered            = bool
    ackDeadlineSeconds = number
    minimumBackoff     = string
    maximumBackoff     = string
  }))

  validation {
    condition     = alltrue([for s in values(var.subscriptions) : s.ackDeadlineSeconds >= 10 && s.ackDeadlineSeconds <= 600])
    error_message = "subscriptions: ackDeadlineSeconds must be 10 to 600."
  }
}

variable "dead_letter_topic" {
  description = "Id of the topic that gets what Pub/Sub gives up on. Null only for that topic itself."
  # An object, so that it is known when planning whether there is one, although the id is not.
  type    = object({ id = string })
  default = null

  validation {
    condition     = var.dead_letter_topic == null || can(regex("^projects/[^/]+/topics/[^/]+$", var.dead_letter_topic.id))
    error_message = "dead_letter_topic.id must be like projects/p/topics/t."
  }
}

variable "max_delivery_attempts" {
  description = "After how many deliveries Pub/Sub itself gives up. vibed parks a message, with the reason, long before: the broker's count also rises for messages that merely waited."
  type        = number
  default     = 100

  validation {
    condition     = var.max_delivery_attempts >= 5 && var.max_delivery_attempts <= 100
    error_message = "max_delivery_attempts must be 5 to 100."
  }
}

variable "retention" {
  description = "How long a message waits for its consumer: 600s to 2678400s (31 days)."
  type        = string
  default     = "604800s"

  validation {
    condition     = can(regex("^[0-9]+s$", var.retention)) && tonumber(trimsuffix(var.retention, "s")) >= 600 && tonumber(trimsuffix(var.retention, "s")) <= 2678400
    error_message = "retention must be 600s to 2678400s."
  }
}

variable "topic_retention" {
  description = "How long the topic keeps messages that were handled, to seek back to. Null is not at all; it costs storage."
  type        = string
  default     = null

  validation {
    condition     = var.topic_retention == null || can(regex("^[0-9]+s$", var.topic_retention))
    error_message = "topic_retention must be in seconds, like 86400s."
  }
}

variable "publishers" {
  description = "Members that may publish, by a name that is known when planning."
  type        = map(string)

  validation {
    condition     = alltrue([for m in values(var.publishers) : can(regex("^(serviceAccount|group|user|principal|principalSet):", m))])
    error_message = "publishers must be members like serviceAccount:a@p.iam.gserviceaccount.com."
  }
}

variable "subscribers" {
  description = "Members that may consume, by subscription and a name that is known when planning."
  type        = map(map(string))

  validation {
    condition     = length(setsubtract(keys(var.subscribers), keys(var.subscriptions))) == 0
    error_message = "subscribers must name subscriptions of this topic."
  }
}

variable "service_agent" {
  description = "Pub/Sub's own service account, which moves dead letters: service-<project number>@gcp-sa-pubsub.iam.gserviceaccount.com."
  type        = string

  validation {
    condition     = can(regex("^service-[0-9]+@gcp-sa-pubsub\\.iam\\.gserviceaccount\\.com$", var.service_agent))
    error_message = "service_agent must be service-<number>@gcp-sa-pubsub.iam.gserviceaccount.com."
  }
}

variable "push" {
  description = "Address and caller of push subscriptions, by subscription; the others are pulled."
  type        = map(object({ endpoint = string, caller = string, audience = string }))
  default     = {}

  validation {
    condition     = alltrue([for p in values(var.push) : startswith(p.endpoint, "https://")])
    error_message = "push endpoints must be https."
  }
}
