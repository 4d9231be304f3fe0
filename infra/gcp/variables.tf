variable "project_id" {
  description = "Project of the platform. It must exist, with billing."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project: 6 to 30 lower-case letters, digits and dashes."
  }
}

variable "sandbox_project_id" {
  description = "Project of builds and previews. Null is project_id; a project of its own keeps the sandbox runner's rights away from the platform."
  type        = string
  default     = null

  validation {
    condition     = var.sandbox_project_id == null || can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.sandbox_project_id))
    error_message = "sandbox_project_id must be the id of a project."
  }
}

variable "name_prefix" {
  description = "Stands before the names of all resources."
  type        = string
  default     = "vibesdk"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{0,11}$", var.name_prefix))
    error_message = "name_prefix must be 1 to 12 lower-case letters and digits, beginning with a letter."
  }
}

variable "region" {
  description = "Region of everything that has one."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be like europe-west1."
  }
}

variable "subnet_range" {
  description = "Addresses of Cloud Run instances in the network that is made."
  type        = string
  default     = "10.8.0.0/24"

  validation {
    condition     = can(cidrhost(var.subnet_range, 0)) && can(regex("/(1[6-9]|2[0-6])$", var.subnet_range))
    error_message = "subnet_range must be a CIDR block from /16 to /26."
  }
}

variable "image" {
  description = "Container image of vibed (infra/docker/Dockerfile), best by digest."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?/.+[:@].+$", var.image))
    error_message = "image must have a registry and a tag or digest."
  }
}

variable "sandbox_image" {
  description = "Container image of sandboxes (infra/docker/SandboxDockerfile), best by digest."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?/.+[:@].+$", var.sandbox_image))
    error_message = "sandbox_image must have a registry and a tag or digest."
  }
}

variable "image_repository" {
  description = "Location and name of the Artifact Registry repository in project_id with the images. By default it is read from sandbox_image, if that is in project_id. Needed when sandbox_project_id is another project, whose Cloud Run then gets the right to read it."
  type        = object({ location = string, name = string })
  default     = null

  validation {
    condition     = var.image_repository != null || var.sandbox_project_id == null || var.sandbox_project_id == var.project_id
    error_message = "image_repository is required with a sandbox_project_id of its own."
  }
}

variable "gateway_domain" {
  description = "Host name of the gateway, like api.example.com."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.gateway_domain))
    error_message = "gateway_domain must be a host name in lower case."
  }
}

variable "preview_domain" {
  description = "Previews have their hosts below it. Use a domain that shares no cookies with others."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.preview_domain))
    error_message = "preview_domain must be a host name in lower case."
  }
}

variable "app_domain" {
  description = "Deployed apps have their hosts below it."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.app_domain)) && var.app_domain != var.preview_domain
    error_message = "app_domain must be a host name in lower case, and not preview_domain."
  }
}

variable "dns_zone" {
  description = "Name of a Cloud DNS zone in project_id that gets all records. Null: make those of the outputs yourself."
  type        = string
  default     = null

  validation {
    condition     = var.dns_zone == null || can(regex("^[a-z][a-z0-9-]{0,61}[a-z0-9]$", var.dns_zone))
    error_message = "dns_zone must be the name of a managed zone."
  }
}

variable "session_backend" {
  description = "Where agent sessions are kept: firestore, or postgres, the database of everything else."
  type        = string
  default     = "firestore"

  validation {
    condition     = contains(["firestore", "postgres"], var.session_backend)
    error_message = "session_backend must be firestore or postgres."
  }
}

variable "firestore" {
  description = "Name and location of the Firestore database; the location is a region or multi-region and defaults to region. Not used with session_backend postgres."
  type = object({
    database               = optional(string, "vibesdk")
    location               = optional(string)
    point_in_time_recovery = optional(bool, true)
  })
  default = {}

  validation {
    condition     = var.firestore.database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.firestore.database))
    error_message = "firestore.database must be (default), or 4 to 63 lower-case letters, digits and dashes."
  }
}

variable "session_ttl" {
  description = "How long a session lives after its last change, in Go's spelling (720h). 0s is for ever."
  type        = string
  default     = "0s"

  validation {
    condition     = can(regex("^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", var.session_ttl)) && var.session_ttl != ""
    error_message = "session_ttl must be a duration like 720h or 0s."
  }
}

variable "limit_backend" {
  description = "Where rate limits are counted: redis (Memorystore), or sql, the database of everything else."
  type        = string
  default     = "redis"

  validation {
    condition     = contains(["redis", "sql"], var.limit_backend)
    error_message = "limit_backend must be redis or sql."
  }
}

variable "redis" {
  description = "Size of Memorystore. Not used with limit_backend sql."
  type = object({
    memory_gb        = optional(number, 1)
    highly_available = optional(bool, false)
  })
  default = {}

  validation {
    condition     = var.redis.memory_gb >= 1 && var.redis.memory_gb <= 300
    error_message = "redis.memory_gb must be 1 to 300."
  }
}

variable "sql" {
  description = "Size of Cloud SQL, and the version of its password: add one for a new password."
  type = object({
    tier             = optional(string, "db-custom-1-3840")
    highly_available = optional(bool, false)
    disk_gb          = optional(number, 10)
    max_connections  = optional(number, 200)
    password_version = optional(number, 1)
  })
  default = {}

  validation {
    condition     = can(regex("^db-", var.sql.tier))
    error_message = "sql.tier must be like db-custom-2-7680."
  }
}

variable "instances" {
  description = "Instances of the roles: of the doors the least and most, of the workers how many run, or with push how many may."
  type = object({
    gateway        = optional(object({ min = number, max = number }), { min = 1, max = 10 })
    router         = optional(object({ min = number, max = number }), { min = 1, max = 10 })
    statewriter    = optional(number, 1)
    callbackrunner = optional(number, 1)
    sandboxrunner  = optional(number, 1)
    janitor        = optional(number, 1)
    deadletters    = optional(number, 1)
  })
  default = {}

  validation {
    condition     = var.instances.gateway.min <= var.instances.gateway.max && var.instances.router.min <= var.instances.router.max
    error_message = "instances: min must not be more than max."
  }
  validation {
    condition     = alltrue([for n in [var.instances.statewriter, var.instances.callbackrunner, var.instances.sandboxrunner, var.instances.janitor, var.instances.deadletters] : n >= 1 && n <= 100])
    error_message = "instances of workers must be 1 to 100."
  }
}

variable "push_consumers" {
  description = "Subscriptions that Pub/Sub pushes to services that scale to zero; worker pools pull the others. Pull what has much to do in order: statewriter."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.push_consumers, ["callbackrunner", "janitor", "parked", "sandboxrunner", "statewriter"])) == 0
    error_message = "push_consumers must be of callbackrunner, janitor, parked, sandboxrunner, statewriter."
  }
}

variable "build" {
  description = "CPUs and memory of a build."
  type = object({
    cpu    = optional(string, "2")
    memory = optional(string, "4Gi")
  })
  default = {}

  validation {
    condition     = contains(["1", "2", "4", "8"], var.build.cpu) && can(regex("^[0-9]+(Mi|Gi)$", var.build.memory))
    error_message = "build.cpu must be 1, 2, 4 or 8, and build.memory like 4Gi."
  }
}

variable "preview" {
  description = "CPUs and memory of a preview; its files are kept in memory as well."
  type = object({
    cpu    = optional(string, "1")
    memory = optional(string, "1Gi")
  })
  default = {}

  validation {
    condition     = contains(["1", "2", "4", "8"], var.preview.cpu) && can(regex("^[0-9]+(Mi|Gi)$", var.preview.memory))
    error_message = "preview.cpu must be 1, 2, 4 or 8, and preview.memory like 1Gi."
  }
}

variable "sandbox_network" {
  description = "Network and subnetwork, by id, through which builds and previews send everything, so that a firewall can bound it. One of their own, with Cloud NAT for package registries: in the platform's, generated code could reach the database. Null: they reach the internet and no network."
  type        = object({ network = string, subnetwork = string })
  default     = null

  validation {
    condition     = var.sandbox_network == null || try(var.sandbox_network.network != "" && var.sandbox_network.subnetwork != "", false)
    error_message = "sandbox_network needs both ids."
  }
}

variable "api_key_secret" {
  description = "Id of the secret with the key that callers of the gateway send. It must exist with a version of at least 16 bytes; see the README."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.api_key_secret))
    error_message = "api_key_secret must be the id of a secret, not its value: letters, digits, dashes and underscores."
  }
}

variable "agent_host" {
  description = "Address that is called when jobs of sessions are due, and the id of the secret with the key that is sent there. Null: due jobs wait."
  type        = object({ url = string, key_secret = optional(string, "") })
  default     = null

  validation {
    condition     = var.agent_host == null || can(regex("^https://", var.agent_host.url))
    error_message = "agent_host.url must be an https address."
  }
}

variable "jwt_secret" {
  description = "Id of the secret with VibeSDK's JWT_SECRET, at least 32 bytes: with it VibeSDK's own clients may connect to agents, and owners see their private apps. Empty: they may not."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{0,255}$", var.jwt_secret))
    error_message = "jwt_secret must be the id of a secret, not its value: letters, digits, dashes and underscores."
  }
}

variable "publishers" {
  description = "Members from outside that publish, by topic: an agent host publishes to state-mutations, an app builder to sandbox-requests."
  type        = map(set(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.publishers), ["sandbox-requests", "state-mutations"])) == 0
    error_message = "publishers may name sandbox-requests and state-mutations only."
  }
}

variable "operators" {
  description = "Members, best a group, that may publish to every topic by hand. Dead letters are read and published again through the gateway, with its key."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for m in var.operators : can(regex("^(group|user|serviceAccount|principal|principalSet):", m))])
    error_message = "operators must be members like group:ops@example.com."
  }
}

variable "paused_schedules" {
  description = "Names of schedules in infra/schedules.yaml that do not run."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.paused_schedules : can(regex("^[a-z][a-z0-9-]*$", name))])
    error_message = "paused_schedules must be names of schedules."
  }
}

variable "environment" {
  description = "More settings for every role, by the names in cmd/internal/app/config*.go. They win over those made here. No secrets."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "environment must have names in capitals."
  }
}

variable "log_level" {
  description = "Least level of log lines: debug, info, warn or error."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["debug", "info", "warn", "error"], var.log_level)
    error_message = "log_level must be debug, info, warn or error."
  }
}

variable "alert_emails" {
  description = "Addresses that alerts are sent to."
  type        = set(string)

  validation {
    condition     = alltrue([for e in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", e))])
    error_message = "alert_emails must be email addresses."
  }
}

variable "notification_channels" {
  description = "Ids of existing notification channels that alerts are sent to as well."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for c in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", c))])
    error_message = "notification_channels must be like projects/p/notificationChannels/1."
  }
}

variable "playbooks_url" {
  description = "Where docs/playbooks of your copy can be read, without a slash at the end."
  type        = string

  validation {
    condition     = can(regex("^https://.*[^/]$", var.playbooks_url))
    error_message = "playbooks_url must be an https address without a slash at the end."
  }
}

variable "deletion_protection" {
  description = "Whether databases and services refuse to be deleted. False for what is to be thrown away."
  type        = bool
  default     = true
}
