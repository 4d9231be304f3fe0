package guest

import "time"

const (
	restartWindow = 5 * time.Minute
	restartLimit  = 6
	restartDelay  = time.Second
)

// restartBudget says when a development server that ended may start again: after 1 s, then 2 s, 4 s and so
// on, at most six times within five minutes. Starts longer ago count no more, so five stable minutes clear
// the record.
type restartBudget struct {
	unit time.Duration
	past []time.Time
}

// next returns how long to wait before the next start, and false when there is none.
func (b *restartBudget) next(now time.Time) (time.Duration, bool) {
	kept := b.past[:0]
	for _, t := range b.past {
		if now.Sub(t) < restartWindow {
			kept = append(kept, t)
		}
	}
	b.past = kept
	if len(b.past) >= restartLimit {
		return 0, false
	}
	delay := b.unit << len(b.past)
	b.past = append(b.past, now)
	return delay, true
}
