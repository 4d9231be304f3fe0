package cloudflarelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/platform/ratelimit"
)

// Options tune [New]. The zero value is right for a program.
type Options struct {
	// Binding is the bridge's name for the objects, of the bridge's class RateLimitObject. Defaults to RATE_LIMITS.
	Binding string
	// Object, when set, is the one object that every key lives in, so that any keys can be charged in one call. One object serves
	// calls one after the other. Defaults to an object for each identifier.
	Object string
	// Keep is how long counts are kept at least, for rules with longer windows than those that charged. Defaults to 0.
	Keep time.Duration
}

// Backend implements [ratelimit.Backend]. It is safe for concurrent use.
type Backend struct {
	bridge *cfclient.Client
	o      Options
}

var _ ratelimit.Backend = (*Backend)(nil)

// New returns a Backend over a client, which stays the caller's to close.
func New(bridge *cfclient.Client, o Options) *Backend {
	if o.Binding == "" {
		o.Binding = "RATE_LIMITS"
	}
	return &Backend{bridge: bridge, o: o}
}

// Take implements [ratelimit.Backend].
func (b *Backend) Take(ctx context.Context, now time.Time, items []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	object := b.object(items[0].Key)
	body := request{Dry: dry, Keep: b.o.Keep.Milliseconds()}
	for _, item := range items {
		if b.object(item.Key) != object {
			return nil, fmt.Errorf("take: %w", ratelimit.ErrApart)
		}
		body.Charges = append(body.Charges, charge{item.Key, item.N, ruleOf(item.Rule)})
	}
	var reply struct {
		Now       int64      `json:"now"`
		Decisions []decision `json:"decisions"`
	}
	if err := b.call(ctx, "take", object, now, dry, body, &reply); err != nil {
		return nil, err
	}
	if len(reply.Decisions) != len(items) {
		return nil, fmt.Errorf("take: %w: the answer has %d decisions for %d charges", ratelimit.ErrUnavailable, len(reply.Decisions), len(items))
	}
	answers := make([]ratelimit.Answer, len(items))
	for i, d := range reply.Decisions {
		answers[i] = ratelimit.Answer{Exceeded: d.Exceeded, Main: d.Main, Daily: d.Daily, Now: reply.Now, RetryAt: d.RetryAt}
	}
	return answers, nil
}

// Adjust implements [ratelimit.Backend].
func (b *Backend) Adjust(ctx context.Context, now time.Time, a ratelimit.Adjustment) error {
	return b.call(ctx, "adjust", b.object(a.Key), now, true, request{
		Keep: b.o.Keep.Milliseconds(), Correction: &correction{a.ID, a.Key, ruleOf(a.Rule), a.Bucket, a.Delta},
	}, nil)
}

// Reset implements [ratelimit.Backend].
func (b *Backend) Reset(ctx context.Context, key string) error {
	return b.call(ctx, "reset", b.object(key), time.Time{}, true, request{Key: key}, nil)
}

// Sweep implements [ratelimit.Backend]. The objects sweep themselves.
func (b *Backend) Sweep(ctx context.Context, _ time.Time) (int, error) { return 0, ctx.Err() }

// Dump implements [ratelimit.Backend].
func (b *Backend) Dump(ctx context.Context, key string) (c ratelimit.Counts, err error) {
	err = b.call(ctx, "dump", b.object(key), time.Time{}, true, request{Key: key}, &c)
	return c, err
}

// Restore implements [ratelimit.Backend].
func (b *Backend) Restore(ctx context.Context, c ratelimit.Counts) (bool, error) {
	var reply struct {
		Restored bool `json:"restored"`
	}
	err := b.call(ctx, "restore", b.object(c.Key), time.Time{}, true, request{Counts: countsOf(c), Keep: b.o.Keep.Milliseconds()}, &reply)
	return reply.Restored, err
}

// object is the name of the object that a key lives in.
func (b *Backend) object(key string) string {
	if b.o.Object != "" {
		return b.o.Object
	}
	if rest, ok := strings.CutPrefix(key, "platform:"); ok {
		if _, identifier, ok := strings.Cut(rest, ":"); ok && identifier != "" {
			return identifier
		}
	}
	return key
}

func (b *Backend) call(ctx context.Context, verb, object string, now time.Time, safe bool, body request, out any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", verb, ratelimit.ErrInvalid, err)
	}
	r := cfclient.Request{
		Method: http.MethodPost, Path: "/v1/limits/" + b.o.Binding + "/" + verb, Query: url.Values{"key": {object}}, Body: [][]byte{data}, Safe: safe,
	}
	if !now.IsZero() {
		r.Header = http.Header{"X-Bridge-Now": {strconv.FormatInt(now.UnixMilli(), 10)}}
	}
	return failed(verb, b.bridge.JSON(ctx, r, out))
}

// failed names the operation and turns the bridge's words into the port's errors. It is nil for nil.
func failed(operation string, err error) error {
	if err == nil {
		return nil
	}
	if refusal, ok := errors.AsType[*cfclient.Error](err); ok && refusal.Code == "invalid" {
		return fmt.Errorf("%s: %w: %s", operation, ratelimit.ErrInvalid, refusal.Message)
	}
	return fmt.Errorf("%s: %w: %w", operation, ratelimit.ErrUnavailable, err)
}
