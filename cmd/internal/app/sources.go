package app

import (
	"context"
	"errors"
	"io"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/schemas"
)

const (
	// sourcesKeep is how old an upload gets: the gateway uses one again for a day, and a sandbox that was asked for
	// then may build again for another. On Cloud Storage a lifecycle rule does this.
	sourcesKeep = schemas.MinFileAge
	// payloadsKeep is how old the payload of a mutation gets: its message may be sent again from dead-letters for a month, and
	// a session remembers it a day longer.
	payloadsKeep = 32 * 24 * time.Hour
)

// filesSweep is the janitor's sweep of uploads and payloads; nil on Cloud Storage, where a lifecycle rule does it.
func (p *provider) filesSweep() func(ctx context.Context, now time.Time, olderThan time.Duration, dry bool) (int, error) {
	if _, local := folderOf(p.sourcesURL); !local {
		return nil
	}
	return func(ctx context.Context, now time.Time, olderThan time.Duration, dry bool) (int, error) {
		return removeOld(ctx, p.sources, now, olderThan, dry)
	}
}

// removeOld removes what has reached its age, and returns how much. Each kind is kept at least as long as it is needed; a dry run counts.
func removeOld(ctx context.Context, bucket *blob.Bucket, now time.Time, olderThan time.Duration, dry bool) (removed int, err error) {
	sources, err := removeBefore(ctx, bucket, gateway.SourcePrefix, now.Add(-max(olderThan, sourcesKeep)), dry)
	if err != nil {
		return sources, err
	}
	payloads, err := removeBefore(ctx, bucket, gateway.MutationPrefix, now.Add(-max(olderThan, payloadsKeep)), dry)
	return sources + payloads, err
}

func removeBefore(ctx context.Context, bucket *blob.Bucket, prefix string, before time.Time, dry bool) (removed int, err error) {
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
			// Somebody else may have been quicker.
			if !dry {
				if err := bucket.Delete(ctx, object.Key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
					return removed, err
				}
			}
			removed++
		}
	}
}
