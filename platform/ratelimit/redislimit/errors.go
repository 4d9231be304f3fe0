package redislimit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/platform/ratelimit"
)

// failed names the operation and turns the client's error into the port's. It is nil for nil.
func failed(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w: %w", operation, ratelimit.ErrUnavailable, err)
	case redis.HasErrorPrefix(err, "CROSSSLOT"):
		return fmt.Errorf("%s: %w", operation, ratelimit.ErrApart)
	case strings.Contains(err.Error(), "SIZES"):
		return fmt.Errorf("%s: %w: bucketSize is one too many of the key within its horizon", operation, ratelimit.ErrInvalid)
	}
	return fmt.Errorf("%s: %w: %w", operation, ratelimit.ErrUnavailable, err)
}
