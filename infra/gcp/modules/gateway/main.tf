# The front door of clients and agents.

module "service" {
  source = "../service"

  name            = var.name
  region          = var.region
  image           = var.image
  role            = "gateway"
  instances       = var.instances
  cpu             = var.cpu
  memory          = var.memory
  service_account = var.service_account
  calls = {
    # The load balancer is the only way in, and the gateway asks for its own key.
    ingress = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    # WebSockets live as long as this at most; clients connect again.
    timeout_seconds = 3600
    health          = true
    # Watches and caches do.
    works_between = true
  }
  network             = var.network
  environment         = var.environment
  secret_environment  = var.secret_environment
  secret_files        = var.secret_files
  deletion_protection = var.deletion_protection
}
