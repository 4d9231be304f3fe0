package pubsubbus

import (
	"encoding/json"
	"net/http"
	"time"

	"cloud.google.com/go/pubsub/v2"
)

// envelope is the body of a wrapped push.
type envelope struct {
	Message *struct {
		Data        []byte            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		ID          string            `json:"messageId"`
		PublishTime time.Time         `json:"publishTime"`
		OrderingKey string            `json:"orderingKey"`
	} `json:"message"`
	Subscription string `json:"subscription"`
	// DeliveryAttempt is there when the subscription has a dead-letter policy: 1 for the first.
	DeliveryAttempt *int `json:"deliveryAttempt"`
}

const wrapped = "gcloud pubsub subscriptions update SUBSCRIPTION --clear-push-no-wrapper-config makes it wrapped"

// checkWrapped refuses a push without the envelope, by the headers that it has instead: it does not name its subscription, and
// has no place for attributes like ours.
func checkWrapped(h http.Header) error {
	if h.Get("X-Goog-Pubsub-Message-Id") != "" || h.Get("X-Goog-Pubsub-Subscription-Name") != "" {
		return refuse(http.StatusBadRequest, "the push is unwrapped, only wrapped ones are taken: %s", wrapped)
	}
	return nil
}

// decodePush reads the message of a wrapped push and holds that it is of the subscription.
func decodePush(body []byte, subscription string) (*pubsub.Message, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, refuse(http.StatusBadRequest, "the body is not the JSON of a wrapped push (%s); if the push is unwrapped, %s", err, wrapped)
	}
	switch {
	case e.Message == nil:
		return nil, refuse(http.StatusBadRequest, "message is missing; if the push is unwrapped, %s", wrapped)
	case e.Message.ID == "":
		return nil, refuse(http.StatusBadRequest, "message.messageId is missing")
	case e.Subscription != subscription:
		return nil, refuse(http.StatusBadRequest, "subscription is %.300q, want %q", e.Subscription, subscription)
	case e.DeliveryAttempt != nil && *e.DeliveryAttempt < 0:
		return nil, refuse(http.StatusBadRequest, "deliveryAttempt is %d", *e.DeliveryAttempt)
	}
	return &pubsub.Message{
		ID: e.Message.ID, Data: e.Message.Data, Attributes: e.Message.Attributes, PublishTime: e.Message.PublishTime,
		OrderingKey: e.Message.OrderingKey, DeliveryAttempt: e.DeliveryAttempt,
	}, nil
}
