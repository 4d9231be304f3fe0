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
  bucket             = "my-project-vibesdk-sandboxes"
  environment        = { SANDBOX_TTL = "15m" }
  secrets = {
    database_url   = "database-url"
    redis_url      = "redis-url"
    api_key        = "api-key"
    agent_host_key = "agent-host-key"
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
    secrets         = { database_url = "database-url", redis_url = "", api_key = "api-key", agent_host_key = "" }
  }

  assert {
    condition     = alltrue([for env in values(output.environment) : !contains(keys(env), "FIRESTORE_PROJECT") && !contains(keys(env), "AGENT_HOST_URL")])
    error_message = "Nobody gets settings of what is not there."
  }
  assert {
    condition     = alltrue([for env in values(output.secret_environment) : keys(env) == ["DATABASE_URL"]])
    error_message = "Nobody gets a secret that is not there."
  }
}

run "redis_needs_its_address" {
  command = plan

  variables {
    secrets = { database_url = "database-url", redis_url = "", api_key = "api-key", agent_host_key = "" }
  }

  expect_failures = [var.secrets]
}

run "values_are_no_ids" {
  command = plan

  variables {
    secrets = { database_url = "postgres://user:password@host/db", redis_url = "redis-url", api_key = "api-key", agent_host_key = "" }
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

run "bad_names" {
  command = plan

  variables {
    name_prefix     = "Has-Dashes"
    project_id      = "x"
    preview_domain  = "*.example.com"
    session_ttl     = "a month"
    session_backend = "mongo"
  }

  expect_failures = [var.name_prefix, var.project_id, var.preview_domain, var.session_ttl, var.session_backend]
}
