# How the parts fit together. Topics and schedules come from the files that vibed itself is built from.

locals {
  table         = jsondecode(file("${path.module}/generated/topics.json"))
  topics        = local.table.topics
  subscriptions = local.table.subscriptions
  schedules     = yamldecode(file("${path.module}/../schedules.yaml")).schedules
  dead_letters  = "dead-letters"

  email   = { for role, account in google_service_account.role : role => account.email }
  network = { network = module.network.network, subnetwork = module.network.subnetwork }

  # Who publishes to each topic, by a name that is known when planning.
  publishers = {
    for topic in keys(local.topics) : topic => merge(
      { for role in lookup(module.settings.publishers, topic, []) : role => "serviceAccount:${local.email[role]}" },
      { for member in lookup(var.publishers, topic, []) : member => member },
      { for member in var.operators : member => member },
      topic == "cleanup-ticks" ? { scheduler = "serviceAccount:${local.agents.scheduler}" } : {},
      topic == local.dead_letters ? { pubsub = "serviceAccount:${local.agents.pubsub}" } : {},
    )
  }
  subscribers = {
    for name in keys(local.subscriptions) : name => { (name) = "serviceAccount:${local.email[module.settings.subscribers[name]]}" }
  }
  # By the address that a service of Cloud Run has before it is there: it starts when its subscription exists.
  push = {
    for name in var.push_consumers : name => {
      endpoint = "https://${var.name_prefix}-${module.settings.subscribers[name]}-${data.google_project.platform.number}.${var.region}.run.app/push/${name}"
      caller   = one(google_service_account.push[*].email)
      audience = module.settings.push_audience
    }
  }
  subscriptions_of = {
    for topic in keys(local.topics) : topic => { for name, s in local.subscriptions : name => s if s.topic == topic }
  }
}

module "settings" {
  source = "./modules/settings"

  project_id         = var.project_id
  name_prefix        = var.name_prefix
  preview_domain     = var.preview_domain
  app_domain         = var.app_domain
  session_backend    = var.session_backend
  firestore_database = var.firestore.database
  session_ttl        = var.session_ttl
  limit_backend      = var.limit_backend
  agent_host_url     = var.agent_host == null ? "" : var.agent_host.url
  log_level          = var.log_level
  scheduler_location = var.region
  bucket             = module.sandbox.bucket
  push_consumers     = var.push_consumers
  push_account       = one(google_service_account.push[*].email)
  sandboxes = {
    project_id      = local.sandbox_project
    region          = var.region
    job             = module.sandbox.job
    image           = var.sandbox_image
    service_account = module.sandbox.service_account
    cpu             = var.preview.cpu
    memory          = var.preview.memory
    network         = var.sandbox_network
  }
  environment = var.environment
  secrets = {
    database_url   = module.sql.secret_id
    redis_url      = var.limit_backend == "redis" ? module.redis[0].secret_id : ""
    api_key        = var.api_key_secret
    agent_host_key = var.agent_host == null ? "" : var.agent_host.key_secret
    jwt            = var.jwt_secret
  }
}

module "network" {
  source = "./modules/network"

  name       = var.name_prefix
  region     = var.region
  range      = var.subnet_range
  depends_on = [google_project_service.platform]
}

# Dead letters first: the other subscriptions name their topic.
module "dead_letters" {
  source = "./modules/topic"

  project_id    = var.project_id
  prefix        = module.settings.prefix
  name          = local.dead_letters
  subscriptions = local.subscriptions_of[local.dead_letters]
  # What people must look at is filed in the database by then, unless the role that does it is away for long.
  retention     = "2678400s"
  publishers    = local.publishers[local.dead_letters]
  subscribers   = { for name in keys(local.subscriptions_of[local.dead_letters]) : name => local.subscribers[name] }
  service_agent = local.agents.pubsub
  push          = { for name, p in local.push : name => p if contains(keys(local.subscriptions_of[local.dead_letters]), name) }
  depends_on    = [google_project_service.platform, google_service_account_iam_member.pushes]
}

module "topic" {
  source   = "./modules/topic"
  for_each = { for name, topic in local.topics : name => topic if name != local.dead_letters }

  project_id        = var.project_id
  prefix            = module.settings.prefix
  name              = each.key
  schema            = each.value.schema == "" ? null : file("${path.module}/../../schemas/${each.value.schema}")
  schema_name       = each.value.schema == "" ? null : replace(trimsuffix(each.value.schema, ".proto"), "_", "-")
  subscriptions     = local.subscriptions_of[each.key]
  dead_letter_topic = { id = module.dead_letters.id }
  publishers        = local.publishers[each.key]
  subscribers       = { for name in keys(local.subscriptions_of[each.key]) : name => local.subscribers[name] }
  service_agent     = local.agents.pubsub
  push              = { for name, p in local.push : name => p if contains(keys(local.subscriptions_of[each.key]), name) }
  depends_on        = [google_project_service.platform, google_service_account_iam_member.pushes]
}

module "schedule" {
  source = "./modules/schedule"

  project_id = var.project_id
  region     = var.region
  prefix     = module.settings.prefix
  schedules  = local.schedules
  topics     = { for name, topic in module.topic : name => topic.id }
  paused     = var.paused_schedules
  operators  = { gateway = local.email["gateway"] }
  depends_on = [google_project_service.platform]
}

module "sql" {
  source = "./modules/sql"

  name                = "${var.name_prefix}-sql"
  region              = var.region
  network             = module.network.network
  services_range      = module.network.services_range
  tier                = var.sql.tier
  highly_available    = var.sql.highly_available
  disk_gb             = var.sql.disk_gb
  max_connections     = var.sql.max_connections
  password_version    = var.sql.password_version
  secret_id           = "${var.name_prefix}-database-url"
  deletion_protection = var.deletion_protection
}

module "redis" {
  source = "./modules/redis"
  count  = var.limit_backend == "redis" ? 1 : 0

  name             = "${var.name_prefix}-limits"
  region           = var.region
  network          = module.network.network
  services_range   = module.network.services_range
  memory_gb        = var.redis.memory_gb
  highly_available = var.redis.highly_available
  secret_id        = "${var.name_prefix}-redis-url"
}

module "sessions" {
  source = "./modules/sessions"
  count  = var.session_backend == "firestore" ? 1 : 0

  project_id             = var.project_id
  database               = var.firestore.database
  location               = coalesce(var.firestore.location, var.region)
  point_in_time_recovery = var.firestore.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  readers                = { for role, access in module.settings.session_access : role => local.email[role] if access == "read" }
  writers                = { for role, access in module.settings.session_access : role => local.email[role] if access == "write" }
  depends_on             = [google_project_service.platform]
}

module "sandbox" {
  source = "./modules/sandbox"

  project_id          = local.sandbox_project
  platform_project_id = var.project_id
  name_prefix         = var.name_prefix
  region              = var.region
  image               = var.sandbox_image
  cpu                 = var.build.cpu
  memory              = var.build.memory
  network             = var.sandbox_network
  bucket_location     = var.region
  bucket_users        = { for role in ["gateway", "sandboxrunner", "janitor"] : role => local.email[role] }
  bucket_readers      = { statewriter = local.email["statewriter"] }
  builders            = { sandboxrunner = local.email["sandboxrunner"] }
  cleaners            = { janitor = local.email["janitor"] }
  viewers             = { gateway = local.email["gateway"] }
  depends_on          = [google_project_service.platform, google_project_service.sandboxes]
}

module "worker" {
  source   = "./modules/worker"
  for_each = { for role, place in module.settings.places : role => place if place == "pool" }

  name                = "${var.name_prefix}-${each.key}"
  region              = var.region
  image               = var.image
  role                = each.key
  mode                = module.settings.modes[each.key]
  instances           = var.instances[each.key]
  service_account     = local.email[each.key]
  network             = local.network
  environment         = module.settings.environment[each.key]
  secret_environment  = module.settings.secret_environment[each.key]
  secret_files        = module.settings.secret_files[each.key]
  deletion_protection = var.deletion_protection
  # A container starts with its secrets, or not at all.
  depends_on = [google_secret_manager_secret_iam_member.reader, module.topic, module.sessions]
}

module "gateway" {
  source = "./modules/gateway"

  name                = "${var.name_prefix}-gateway"
  region              = var.region
  image               = var.image
  instances           = var.instances.gateway
  service_account     = local.email["gateway"]
  network             = local.network
  environment         = module.settings.environment["gateway"]
  secret_environment  = module.settings.secret_environment["gateway"]
  secret_files        = module.settings.secret_files["gateway"]
  deletion_protection = var.deletion_protection
  depends_on          = [google_secret_manager_secret_iam_member.reader, module.topic, module.sessions]
}

module "router" {
  source = "./modules/router"

  name                = "${var.name_prefix}-router"
  region              = var.region
  image               = var.image
  instances           = var.instances.router
  service_account     = local.email["router"]
  network             = local.network
  environment         = module.settings.environment["router"]
  secret_environment  = module.settings.secret_environment["router"]
  secret_files        = module.settings.secret_files["router"]
  deletion_protection = var.deletion_protection
  gateway_service     = module.gateway.service
  gateway_domain      = var.gateway_domain
  wildcard_domains    = [var.preview_domain, var.app_domain]
  dns_zone            = var.dns_zone
  depends_on          = [google_secret_manager_secret_iam_member.reader]
}

module "observability" {
  source = "./modules/observability"

  project_id            = var.project_id
  name                  = var.name_prefix
  emails                = var.alert_emails
  notification_channels = var.notification_channels
  playbooks_url         = var.playbooks_url
  consumers             = concat(flatten([for topic in module.topic : values(topic.subscriptions)]), values(module.dead_letters.subscriptions))
  ticks_topic           = module.topic["cleanup-ticks"].name
  gateway_service       = module.gateway.service
  router_service        = module.router.service
  gateway_domain        = var.gateway_domain
  sandbox_job           = { project = local.sandbox_project, name = module.sandbox.job }
  database              = { instance = module.sql.instance, max_connections = var.sql.max_connections }
  redis                 = var.limit_backend == "redis" ? { instance = module.redis[0].instance } : null
}
