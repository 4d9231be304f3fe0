package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"

	"gocloud.dev/blob"
)

const (
	// MutationPrefix is where payloads that are too large to travel go in the bucket.
	MutationPrefix = "mutations/"
	// maxInline is the largest payload in bytes that travels inside its message. Brokers charge and slow down by size,
	// and one message must not crowd out the thousands of small ones that share its queue.
	maxInline = 256 << 10
)

// readBody reads a body of JSON text.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, readError(err)
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, badRequest("the body must be JSON text")
	}
	return body, nil
}

// storePayload keeps a payload beside the bus and returns its address. The name holds the content's digest as well as
// the ids: the same call again writes the same object, and one with the same id but other content cannot
// change what an earlier one sent.
func (g *Gateway) storePayload(ctx context.Context, sessionID, mutationID string, payload []byte) (string, error) {
	ids := sha256.Sum256([]byte(sessionID + "\x00" + mutationID))
	content := sha256.Sum256(payload)
	key := MutationPrefix + hex.EncodeToString(ids[:16]) + "-" + hex.EncodeToString(content[:16]) + ".json"
	if err := g.Sources.WriteAll(ctx, key, payload, &blob.WriterOptions{ContentType: "application/json"}); err != nil {
		return "", fmt.Errorf("store the payload: %w", err)
	}
	return g.SourcesURL + "/" + key, nil
}
