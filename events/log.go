package events

import (
	"context"
	"log/slog"
	"time"
)

// logged writes one record for each message of a run. Payloads and attributes never reach the log.
func (b *Bus) logged(sub Subscription, next stage) stage {
	return func(ctx context.Context, run []Message) []outcome {
		start := time.Now()
		outcomes := next(ctx, run)
		for i, o := range outcomes {
			level := slog.LevelDebug
			switch o.kind {
			case handled, postponed, released:
			case retried:
				level = slog.LevelWarn
			case parked:
				level = slog.LevelError
			}
			if !b.log.Enabled(ctx, level) {
				continue
			}
			m := run[i]
			attrs := []slog.Attr{
				slog.String("outcome", string(o.kind)),
				slog.String("subscription", sub.Name),
				slog.String("message_id", m.ID),
				slog.String("message_type", m.Type),
				slog.String("key", m.Key),
				slog.Int("attempt", m.Attempt),
				slog.Duration("took", time.Since(start)),
			}
			if !o.verdict.Done {
				attrs = append(attrs, slog.Duration("again_after", o.verdict.After))
			}
			if o.err != nil {
				attrs = append(attrs, slog.Any("error", o.err))
			}
			b.log.LogAttrs(ctx, level, "events: message settled", attrs...)
		}
		return outcomes
	}
}
