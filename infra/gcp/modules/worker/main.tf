# One consumer: a worker pool that pulls, or a service that Pub/Sub calls.

module "service" {
  source = "../service"

  name            = var.name
  region          = var.region
  image           = var.image
  role            = var.role
  instances       = { min = 0, max = var.instances }
  cpu             = var.cpu
  memory          = var.memory
  service_account = var.service_account
  calls = var.mode == "pull" ? null : {
    # Pub/Sub of this project counts as internal.
    ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    # The longest ack deadline of a push subscription.
    timeout_seconds = 600
    health          = true
    # A request stays open for as long as its message is worked on.
    works_between = false
  }
  network             = var.network
  environment         = var.environment
  secret_environment  = var.secret_environment
  secret_files        = var.secret_files
  deletion_protection = var.deletion_protection
}
