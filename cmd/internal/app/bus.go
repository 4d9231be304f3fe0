package app

import (
	"context"
	"fmt"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/pubsubbus"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/schemas"
)

// busDriver opens what keeps the messages: the database, or Pub/Sub.
func busDriver(ctx context.Context, c Config, p *provider) (events.Driver, error) {
	if c.Bus != "pubsub" {
		return sqlbus.New(ctx, p.db, sqlbus.Options{Logger: p.log, MeterProvider: p.telemetry.Meter})
	}
	driver, err := pubsubbus.New(ctx, pubsubbus.Options{
		Project: c.PubSubProject, Endpoint: c.PubSubEndpoint, Prefix: c.PubSubPrefix, Logger: p.log,
		Schemas: schemas.Protos(), Push: c.Push.Consumers, PushDeadline: c.Push.Deadline, PushURL: c.Push.URL,
	})
	if err != nil {
		return nil, err
	}
	// On a real project Terraform makes topics and subscriptions, and this program may not; an emulator starts empty.
	if c.PubSubEndpoint != "" {
		if err := driver.EnsureResources(ctx); err != nil {
			return nil, fmt.Errorf("emulator at %s: %w", c.PubSubEndpoint, err)
		}
	}
	p.push = driver.PushHandler()
	return driver, nil
}
