package client

import (
	"context"
	"net/http"
)

// Message is one message to publish.
type Message struct {
	Data        []byte            `json:"data,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	OrderingKey string            `json:"orderingKey,omitempty"`
}

// Publish publishes messages to a topic through Pub/Sub's own call and returns their ids. It is called once: after an
// error any of them may have been stored. A caller that repeats it gives each an id of its own in the attribute ce-id,
// by which consumers know it again.
func (c *Client) Publish(ctx context.Context, topic string, messages ...Message) ([]string, error) {
	var out struct {
		MessageIDs []string `json:"messageIds"`
	}
	err := c.json(ctx, call{
		method: http.MethodPost, path: []string{"v1", "projects", "local", "topics", topic + ":publish"}, once: true,
		body: jsonBody(struct {
			Messages []Message `json:"messages"`
		}{messages}),
	}, &out)
	return out.MessageIDs, err
}
