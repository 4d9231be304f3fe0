package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// OpenAPI returns the OpenAPI 3.1 document of the server, which describes every call that it takes.
func (c *Client) OpenAPI(ctx context.Context) (json.RawMessage, error) {
	var document json.RawMessage
	err := c.json(ctx, call{method: http.MethodGet, path: []string{"openapi.json"}}, &document)
	return document, err
}
