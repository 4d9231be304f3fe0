# The door of browsers: previews and apps by host name. The load balancer in front of both doors is in balancer.tf.

module "service" {
  source = "../service"

  name            = var.name
  region          = var.region
  image           = var.image
  role            = "router"
  instances       = var.instances
  cpu             = var.cpu
  memory          = var.memory
  service_account = var.service_account
  calls = {
    # The load balancer is the only way in, and previews are public to whoever has their address.
    ingress = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    # WebSockets live as long as this at most; clients connect again.
    timeout_seconds = 3600
    # Every host name is an app's, so there is no path to ask for.
    health = false
    # Caches and kept connections do.
    works_between = true
  }
  network             = var.network
  environment         = var.environment
  secret_environment  = var.secret_environment
  secret_files        = var.secret_files
  deletion_protection = var.deletion_protection
}
