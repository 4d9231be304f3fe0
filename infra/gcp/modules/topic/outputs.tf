output "id" {
  description = "Id of the topic, projects/p/topics/t."
  value       = google_pubsub_topic.main.id
}

output "name" {
  description = "Name of the topic, with the prefix."
  value       = google_pubsub_topic.main.name
}

output "subscriptions" {
  description = "Names of the subscriptions, with the prefix, by their names without."
  value       = { for name, s in google_pubsub_subscription.main : name => s.name }
}
