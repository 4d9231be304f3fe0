package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"gocloud.dev/blob"

	"vibesdk-gcp/gateway"
)

const (
	// sourcesKeep is how old an upload gets: the gateway uses one again for a day, and a sandbox that was asked for
	// then may build again for another. On Cloud Storage a lifecycle rule does this.
	sourcesKeep = 49 * time.Hour
	// payloadsKeep is how old the payload of a mutation gets: its message may be sent again from dead-letters for a month, and
	// a session remembers it a day longer.
	payloadsKeep = 32 * 24 * time.Hour
	// sourcesEvery is how often old uploads are looked for.
	sourcesEvery = time.Hour
)

// sweepSources removes old uploads now and from time to time, until ctx ends.
func sweepSources(ctx context.Context, bucket *blob.Bucket, log *slog.Logger) error {
	every := time.NewTicker(sourcesEvery)
	defer every.Stop()
	for {
		if n, err := removeOld(ctx, bucket, time.Now()); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "old uploads were not all removed", "error", err)
		} else if n > 0 {
			log.InfoContext(ctx, "removed old uploads", "count", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// removeOld removes what has reached its age, and returns how much.
func removeOld(ctx context.Context, bucket *blob.Bucket, now time.Time) (removed int, err error) {
	sources, err := removeBefore(ctx, bucket, gateway.SourcePrefix, now.Add(-sourcesKeep))
	if err != nil {
		return sources, err
	}
	payloads, err := removeBefore(ctx, bucket, gateway.MutationPrefix, now.Add(-payloadsKeep))
	return sources + payloads, err
}

func removeBefore(ctx context.Context, bucket *blob.Bucket, prefix string, before time.Time) (removed int, err error) {
	list := bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		object, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return removed, nil
		}
		if err != nil {
			return removed, err
		}
		if object.ModTime.Before(before) {
			if err := bucket.Delete(ctx, object.Key); err != nil {
				return removed, err
			}
			removed++
		}
	}
}
