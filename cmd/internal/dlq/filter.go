// Package dlq is what vibectl and the program replay have in common: which dead letters, and how a replay is told.
package dlq

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"vibesdk-gcp/gateway/client"
)

// Filter is the flags that choose dead letters.
type Filter struct {
	topic, subscription, kind, key, messageID, reason string
	since, until, olderThan                           string
	states                                            []string
}

// Register adds the flags. states is the default of --state, nil for all.
func (f *Filter) Register(flags *pflag.FlagSet, states ...client.LetterState) {
	flags.StringVar(&f.topic, "topic", "", "of this topic")
	flags.StringVar(&f.subscription, "subscription", "", "given up by this subscription")
	flags.StringVar(&f.kind, "type", "", "of this CloudEvents type")
	flags.StringVar(&f.key, "key", "", "with this ordering key, like a session's id")
	flags.StringVar(&f.messageID, "message-id", "", "with this message id")
	flags.StringVar(&f.reason, "reason", "", "whose reason contains this text")
	flags.StringVar(&f.since, "since", "", "given up since: a time like 2026-01-31T12:00:00Z, or how long ago, like 2h")
	flags.StringVar(&f.until, "until", "", "given up before: as --since")
	flags.StringVar(&f.olderThan, "older-than", "", "given up longer ago than this, like 720h")
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	flags.StringSliceVar(&f.states, "state", names, "open, parked or replayed; several with commas")
}

// Empty reports that nothing but the state chooses.
func (f *Filter) Empty() bool {
	return f.topic+f.subscription+f.kind+f.key+f.messageID+f.reason+f.since+f.until+f.olderThan == ""
}

// Query reads the flags.
func (f *Filter) Query(now time.Time) (client.DeadLetterQuery, error) {
	q := client.DeadLetterQuery{
		Topic: f.topic, Subscription: f.subscription, Type: f.kind, Key: f.key, MessageID: f.messageID, Reason: f.reason,
	}
	for _, name := range f.states {
		q.States = append(q.States, client.LetterState(name))
	}
	if f.until != "" && f.olderThan != "" {
		return q, fmt.Errorf("--until and --older-than say the same: give one")
	}
	for _, t := range []struct {
		flag, text string
		into       *time.Time
	}{{"--since", f.since, &q.From}, {"--until", f.until, &q.Until}, {"--older-than", f.olderThan, &q.Until}} {
		if t.text == "" {
			continue
		}
		if ago, err := time.ParseDuration(t.text); err == nil && ago >= 0 {
			*t.into = now.Add(-ago)
		} else if at, err := time.Parse(time.RFC3339, t.text); err == nil && t.flag != "--older-than" {
			*t.into = at
		} else {
			return q, fmt.Errorf("%s %q is neither a time like 2026-01-31T12:00:00Z nor a duration like 2h", t.flag, t.text)
		}
	}
	return q, nil
}
