package app

import "time"

// DeadLetterConfig is about messages that were given up.
type DeadLetterConfig struct {
	// AlarmAge and AlarmCount raise the alarm: an open dead letter that is older, more of a subscription than that many.
	// DEAD_LETTER_ALARM_AGE, DEAD_LETTER_ALARM_COUNT. Default to 1h and 100.
	AlarmAge   time.Duration
	AlarmCount int
}

func (r *reader) deadLetters() DeadLetterConfig {
	return DeadLetterConfig{
		AlarmAge:   r.duration("DEAD_LETTER_ALARM_AGE", time.Hour, time.Second, 31*24*time.Hour),
		AlarmCount: r.number("DEAD_LETTER_ALARM_COUNT", 100, 1, 1_000_000),
	}
}
