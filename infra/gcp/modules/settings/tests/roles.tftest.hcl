# What each role gets. Runs without a provider: terraform init && terraform test.

variables {
  project_id         = "my-project"
  name_prefix        = "vibesdk"
  preview_domain     = "preview.example.com"
  app_domain         = "apps.example.com"
  session_backend    = "firestore"
  firestore_database = "vibesdk"
  session_ttl        = "720h"
  limit_backend      = "redis"
  agent_host_url     = "https://agents.example.com"
  log_level          = "info"
  scheduler_location = "europe-west1"
  bucket             = "my-project-vibesdk-sandboxes"
  environment        = { SANDBOX_TTL = "15m" }
  sandboxes = {
    project_id      = "my-sandboxes"
    region          = "europe-west1"
    job             = "vibesdk-sandbox-job"
    image           = "europe-west1-docker.pkg.dev/my-project/vibesdk/sandbox:1"
    service_account = "vibesdk-sandbox@my-sandboxes.iam.gserviceaccount.com"
    cpu             = "1"
    memory          = "1Gi"
    network         = { network = "sandboxes", subnetwork = "sandboxes-run" }
  }
  secrets = {
    database_url   = "database-url"
    redis_url      = "redis-url"
    api_key        = "api-key"
    agent_host_key = "agent-host-key"
    jwt            = "jwt-secret"
  }
}

run "production" {
  command = apply

  assert {
    condition     = toset(keys(output.environment)) == toset(output.containers) && !contains(output.containers, "ticker")
    error_message = "Each role but the ticker has an environment."
  }
  assert {
    condition     = alltrue([for env in values(output.environment) : env.PUBSUB_PREFIX == "vibesdk-" && env.SANDBOX_TTL == "15m"])
    error_message = "Every role has the prefix and what environment adds."
  }
  assert {
    condition     = [for role, env in output.environment : role if contains(keys(env), "LISTEN")] == ["gateway", "router"]
    error_message = "Only doors listen."
  }
  assert {
    condition     = [for role, env in output.secret_environment : role if contains(keys(env), "REDIS_URL")] == ["gateway", "janitor"]
    error_message = "Only those that use limits get the address of Redis."
  }
  assert {
    condition     = [for role, files in output.secret_files : role if contains(keys(files), "API_KEY_FILE")] == ["gateway"]
    error_message = "Only the gateway gets its key."
  }
  assert {
    condition = flatten([
      for role, files in output.secret_files : [for variable, secret in files : "${role}/${variable}" if secret == "jwt-secret"]
    ]) == ["gateway/JWT_SECRET_FILE", "router/OWNER_TOKEN_KEY_FILE"]
    error_message = "The gateway and the router get VibeSDK's secret, and nobody else does."
  }
  assert {
    condition     = [for role, env in output.environment : role if contains(keys(env), "SCHEDULER_LOCATION")] == ["gateway"]
    error_message = "Only the gateway is told where the jobs are."
  }
  assert {
    condition     = [for role, env in output.environment : role if contains(keys(env), "SANDBOX_SERVICE_ACCOUNT")] == ["gateway", "janitor", "sandboxrunner"]
    error_message = "Only those that look at or change sandboxes are told where they are."
  }
  assert {
    condition     = output.environment.sandboxrunner.CLOUD_RUN_PROJECT == "my-sandboxes" && output.environment.sandboxrunner.SANDBOX_NETWORK == "sandboxes"
    error_message = "Sandboxes run in the project and the network given."
  }
  assert {
    condition     = output.subscribers.parked == "deadletters" && keys(output.environment.deadletters) == keys(output.environment.statewriter)
    error_message = "The role deadletters consumes parked, and gets nothing beyond what all consumers get."
  }
  assert {
    condition     = alltrue([for topic, roles in output.publishers : contains(roles, "gateway")])
    error_message = "The gateway publishes dead letters again, to any topic."
  }
  assert {
    condition     = [for role, access in output.session_access : role if access == "read"] == ["gateway"]
    error_message = "The gateway may only read sessions."
  }
}

run "small" {
  command = apply

  variables {
    session_backend = "postgres"
    limit_backend   = "sql"
    agent_host_url  = ""
    sandboxes = {
      project_id      = "my-project"
      region          = "europe-west1"
      job             = "vibesdk-sandbox-job"
      image           = "europe-west1-docker.pkg.dev/my-project/vibesdk/sandbox:1"
      service_account = "vibesdk-sandbox@my-project.iam.gserviceaccount.com"
      cpu             = "1"
      memory          = "1Gi"
      network         = null
    }
    secrets = { database_url = "database-url", redis_url = "", api_key = "api-key", agent_host_key = "", jwt = "" }
  }

  assert {
    condition     = alltrue([for env in values(output.environment) : !contains(keys(env), "FIRESTORE_PROJECT") && !contains(keys(env), "AGENT_HOST_URL")])
    error_message = "Nobody gets settings of what is not there."
  }
  assert {
    condition     = length(output.secret_files.router) == 0 && join(" ", keys(output.secret_files.gateway)) == "API_KEY_FILE"
    error_message = "No file is named for a secret that is not there."
  }
  assert {
    condition     = !contains(keys(output.environment.sandboxrunner), "SANDBOX_NETWORK")
    error_message = "Sandboxes have no network that was not given."
  }
  assert {
    condition     = alltrue([for env in values(output.secret_environment) : keys(env) == ["DATABASE_URL"]])
    error_message = "Nobody gets a secret that is not there."
  }
}

run "pushed" {
  command = apply

  variables {
    push_consumers = ["parked", "janitor"]
    push_account   = "vibesdk-push@my-project.iam.gserviceaccount.com"
  }

  assert {
    condition     = [for role, mode in output.modes : role if mode == "push"] == ["deadletters", "janitor"] && length(output.modes) == 5
    error_message = "Who consumes what is pushed is a service."
  }
  assert {
    condition     = [for role, env in output.environment : role if contains(keys(env), "LISTEN")] == ["deadletters", "gateway", "janitor", "router"]
    error_message = "What is pushed is a door."
  }
  assert {
    condition     = alltrue([for env in values(output.environment) : env.PUSH_CONSUMERS == "janitor,parked"])
    error_message = "Every role knows what is pushed."
  }
  assert {
    condition     = output.environment.janitor.PUSH_AUDIENCE == output.push_audience && output.environment.janitor.PUSH_ACCOUNT == "vibesdk-push@my-project.iam.gserviceaccount.com"
    error_message = "A pushed role knows whose pushes to take."
  }
}

run "pushes_have_an_account" {
  command = plan

  variables {
    push_consumers = ["janitor"]
  }

  expect_failures = [var.push_account]
}

run "redis_needs_its_address" {
  command = plan

  variables {
    secrets = { database_url = "database-url", redis_url = "", api_key = "api-key", agent_host_key = "", jwt = "" }
  }

  expect_failures = [var.secrets]
}

run "values_are_no_ids" {
  command = plan

  variables {
    secrets = { database_url = "postgres://user:password@host/db", redis_url = "redis-url", api_key = "api-key", agent_host_key = "", jwt = "" }
  }

  expect_failures = [var.secrets]
}

run "passwords_do_not_come_this_way" {
  command = plan

  variables {
    environment = { DATABASE_URL = "postgres://user:password@host/db" }
  }

  expect_failures = [var.environment]
}

run "sandboxes_are_somewhere" {
  command = plan

  variables {
    sandboxes = { project_id = "x", region = "europe", job = "Job", image = "sandbox", service_account = "", cpu = "3", memory = "1", network = null }
  }

  expect_failures = [var.sandboxes]
}

run "bad_names" {
  command = plan

  variables {
    name_prefix        = "Has-Dashes"
    project_id         = "x"
    preview_domain     = "*.example.com"
    session_ttl        = "a month"
    session_backend    = "mongo"
    scheduler_location = "Belgium"
  }

  expect_failures = [var.name_prefix, var.project_id, var.preview_domain, var.session_ttl, var.session_backend, var.scheduler_location]
}
