package pubsubbus

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"cloud.google.com/go/pubsub/v2"

	"vibesdk-gcp/events"
)

// Attributes of a message that Pub/Sub itself moved to the dead-letter topic, after maxDeliveryAttempts. It has a new id of the
// broker; data, attributes, and so our own id, and the ordering key are the original's.
const (
	deadPrefix       = "CloudPubSubDeadLetterSource"
	deadSubscription = deadPrefix + "Subscription"
	deadDeliveries   = deadPrefix + "DeliveryCount"
)

// deadFrom returns the subscription that a message was given up by.
func (d *Driver) deadFrom(m *pubsub.Message) (subscription string, dead bool) {
	source, dead := m.Attributes[deadSubscription]
	return strings.TrimPrefix(source, d.o.Prefix), dead
}

// givenUp makes the dead letter that the bus would have published for a message that Pub/Sub gave up. original is m as it was
// decoded. One that never had our id, from a publisher without the bus, has the broker's new one.
func (d *Driver) givenUp(m *pubsub.Message, original events.Message, subscription string) events.Message {
	deliveries, err := strconv.Atoi(m.Attributes[deadDeliveries])
	if err != nil {
		deliveries = 0
	}
	maps.DeleteFunc(original.Attributes, func(name, _ string) bool { return strings.HasPrefix(name, deadPrefix) })
	letter := events.DeadLetter{
		Message: original, Subscription: subscription, Attempts: deliveries, ParkedAt: m.PublishTime,
		Reason: fmt.Sprintf("Pub/Sub gave it up after %d deliveries without an acknowledgement: its consumers died or never settled it", deliveries),
	}
	for _, sub := range d.o.Subscriptions {
		if sub.Name == subscription {
			letter.Topic = sub.Topic.Name
			if original.Type == "" {
				letter.Message.Type = sub.Topic.Type
			}
		}
	}
	return letter.Encode()
}
