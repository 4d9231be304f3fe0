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
    deadletters    = "pool"
    ticker         = "scheduler"
  }
  # How consumers get their messages. Those that are pushed are services, too.
  modes         = { for role, place in local.places : role => contains(local.pushed, role) ? "push" : "pull" if place == "pool" }
  pushed        = [for name in var.push_consumers : local.subscribers[name]]
  push_audience = "${var.name_prefix}-push"

  containers = [for role, place in local.places : role if place != "scheduler"]

  with_sessions  = ["gateway", "statewriter", "callbackrunner", "janitor"]
  with_limits    = ["gateway", "janitor"]
  with_host      = ["gateway", "callbackrunner"]
  with_sandboxes = ["gateway", "sandboxrunner", "janitor"]
  firestore      = var.session_backend == "firestore"

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
    # Every role is told, so that each knows which it is, and the doctor what to expect.
    PUSH_CONSUMERS = join(",", sort(var.push_consumers))
  }
  push_environment = {
    LISTEN        = "0.0.0.0:8080"
    PUSH_AUDIENCE = local.push_audience
    PUSH_ACCOUNT  = var.push_account
  }
  session_environment = merge(
    { SESSION_BACKEND = var.session_backend, SESSION_TTL = var.session_ttl },
    local.firestore ? { FIRESTORE_PROJECT = var.project_id, FIRESTORE_DATABASE = var.firestore_database } : {},
  )
  limit_environment = {
    LIMIT_BACKEND  = var.limit_backend
    API_RATE_LIMIT = var.api_rate_limit ? "on" : "off"
  }
  sandbox_environment = merge(
    {
      SANDBOX_BACKEND         = "cloudrun"
      CLOUD_RUN_PROJECT       = var.sandboxes.project_id
      CLOUD_RUN_LOCATION      = var.sandboxes.region
      SANDBOX_JOB             = var.sandboxes.job
      SANDBOX_IMAGE           = var.sandboxes.image
      SANDBOX_SERVICE_ACCOUNT = var.sandboxes.service_account
      SANDBOX_BUCKET          = "gs://${var.bucket}"
      SANDBOX_INSTALLATION    = var.name_prefix
      SANDBOX_CPU             = var.sandboxes.cpu
      SANDBOX_MEMORY          = var.sandboxes.memory
    },
    var.sandboxes.network == null ? {} : {
      SANDBOX_NETWORK    = var.sandboxes.network.network
      SANDBOX_SUBNETWORK = var.sandboxes.network.subnetwork
    },
  )

  environment = {
    for role in local.containers : role => merge(
      local.everywhere,
      local.places[role] == "service" ? { LISTEN = "0.0.0.0:8080" } : {},
      contains(local.pushed, role) ? local.push_environment : {},
      # The console lists and pauses the jobs there.
      role == "gateway" ? { SCHEDULER_LOCATION = var.scheduler_location } : {},
      # The load balancer ends TLS, and the router cannot see it.
      role == "router" ? { ROUTER_SCHEME = "https" } : {},
      local.session_environment,
      # The provider's default needs the address of Redis, which is a secret: who uses no limits is told another.
      contains(local.with_limits, role) ? local.limit_environment : { LIMIT_BACKEND = "sql" },
      contains(local.with_host, role) && var.agent_host_url != "" ? { AGENT_HOST_URL = var.agent_host_url } : {},
      contains(local.with_sandboxes, role) ? local.sandbox_environment : {},
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
      # One secret of VibeSDK's: the gateway knows its users by it, the router the owners of private apps.
      role == "gateway" && var.secrets.jwt != "" ? { JWT_SECRET_FILE = var.secrets.jwt } : {},
      role == "router" && var.secrets.jwt != "" ? { OWNER_TOKEN_KEY_FILE = var.secrets.jwt } : {},
    )
  }

  # Who publishes where. Consumers of unordered topics publish delayed copies to what they consume; every consumer
  # parks on dead-letters; the gateway publishes dead letters again, to any topic that they are of.
  publishers = {
    sandbox-requests = ["gateway", "janitor", "sandboxrunner"]
    state-mutations  = ["gateway"]
    agent-callbacks  = ["gateway", "statewriter", "janitor", "callbackrunner"]
    cleanup-ticks    = ["gateway", "janitor"]
    dead-letters     = ["gateway", "statewriter", "callbackrunner", "sandboxrunner", "janitor", "deadletters"]
  }
  # Who consumes each subscription.
  subscribers = {
    statewriter    = "statewriter"
    callbackrunner = "callbackrunner"
    sandboxrunner  = "sandboxrunner"
    janitor        = "janitor"
    parked         = "deadletters"
  }

  # Who may do what in the session database.
  session_access = {
    for role in local.with_sessions : role => role == "gateway" ? "read" : "write"
  }
}
