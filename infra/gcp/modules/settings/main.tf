# What each role of vibed gets and may do, as plain data: no provider is needed to plan or test this module.

locals {
  prefix = "${var.name_prefix}-"

  # Every role has one place. The ticker's work is done by Cloud Scheduler, from the same file.
  places = {
    gateway        = "service"
    router         = "service"
    statewriter    = "pool"
    callbackrunner = "pool"
    sandboxrunner  = "pool"
    janitor        = "pool"
    ticker         = "scheduler"
  }
  containers = [for role, place in local.places : role if place != "scheduler"]

  with_sessions = ["gateway", "statewriter", "callbackrunner", "janitor"]
  with_limits   = ["gateway", "janitor"]
  with_host     = ["gateway", "callbackrunner"]
  firestore     = var.session_backend == "firestore"

  everywhere = {
    RUNTIME_PROVIDER = "gcp"
    BUS_BACKEND      = "pubsub"
    PUBSUB_PROJECT   = var.project_id
    PUBSUB_PREFIX    = local.prefix
    DATA_DIR         = "/tmp/vibed"
    PREVIEW_DOMAIN   = var.preview_domain
    APP_DOMAIN       = var.app_domain
    SOURCES_URL      = "gs://${var.bucket}"
    LOG_FORMAT       = "json"
    LOG_LEVEL        = var.log_level
    # Log lines then lead to their trace.
    GOOGLE_CLOUD_PROJECT = var.project_id
    # Cloud Run gives 10 s.
    DRAIN_TIMEOUT = "8s"
  }
  session_environment = merge(
    { SESSION_BACKEND = var.session_backend, SESSION_TTL = var.session_ttl },
    local.firestore ? { FIRESTORE_PROJECT = var.project_id, FIRESTORE_DATABASE = var.firestore_database } : {},
  )
  limit_environment = {
    LIMIT_BACKEND  = var.limit_backend
    API_RATE_LIMIT = var.api_rate_limit ? "on" : "off"
  }

  environment = {
    for role in local.containers : role => merge(
      local.everywhere,
      local.places[role] == "service" ? { LISTEN = "0.0.0.0:8080" } : {},
      local.session_environment,
      # The provider's default needs the address of Redis, which is a secret: who uses no limits is told another.
      contains(local.with_limits, role) ? local.limit_environment : { LIMIT_BACKEND = "sql" },
      contains(local.with_host, role) && var.agent_host_url != "" ? { AGENT_HOST_URL = var.agent_host_url } : {},
      var.environment,
    )
  }

  # Environment variables whose value is a secret.
  secret_environment = {
    for role in local.containers : role => merge(
      { DATABASE_URL = var.secrets.database_url },
      contains(local.with_limits, role) && var.limit_backend == "redis" ? { REDIS_URL = var.secrets.redis_url } : {},
    )
  }
  # Environment variables that name a file with a secret.
  secret_files = {
    for role in local.containers : role => merge(
      role == "gateway" ? { API_KEY_FILE = var.secrets.api_key } : {},
      contains(local.with_host, role) && var.secrets.agent_host_key != "" ? { AGENT_HOST_KEY_FILE = var.secrets.agent_host_key } : {},
    )
  }

  # Who publishes where. Consumers of unordered topics publish delayed copies to what they consume; every consumer
  # parks on dead-letters.
  publishers = {
    sandbox-requests = ["gateway", "janitor", "sandboxrunner"]
    state-mutations  = ["gateway"]
    agent-callbacks  = ["statewriter", "janitor", "callbackrunner"]
    cleanup-ticks    = ["janitor"]
    dead-letters     = ["statewriter", "callbackrunner", "sandboxrunner", "janitor"]
  }
  # A subscription has the name of the role that consumes it; parked is read by people.
  subscribers = {
    for role, place in local.places : role => role if place == "pool"
  }

  # Who may do what in the session database.
  session_access = {
    for role in local.with_sessions : role => role == "gateway" ? "read" : "write"
  }
}
