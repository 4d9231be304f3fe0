package ratelimit

import "time"

// Exceeded names the window that rejected.
type Exceeded string

// The windows.
const (
	ExceededMain  Exceeded = "main"
	ExceededBurst Exceeded = "burst"
	ExceededDaily Exceeded = "daily"
)

// Result is the answer to one charge.
type Result struct {
	Success bool `json:"success"`
	// RemainingLimit is what main and daily window still admit after the charge, 0 when it was rejected. The burst
	// window has no part in it.
	RemainingLimit float64 `json:"remainingLimit"`
	// ExceededLimit, LimitValue and PeriodSeconds say what rejected. PeriodSeconds of a burst is absent when the
	// limit's burst window is its default.
	ExceededLimit Exceeded `json:"exceededLimit,omitempty"`
	LimitValue    *float64 `json:"limitValue,omitempty"`
	PeriodSeconds *float64 `json:"periodSeconds,omitempty"`

	// RetryAfter is how long until the same charge would be admitted if nothing else were charged. 0 when it
	// was admitted; [Never] when no waiting helps.
	RetryAfter time.Duration `json:"-"`
	// Degraded says that the backend was down and the guard of this process decided.
	Degraded bool `json:"-"`
}

// Never is the RetryAfter of a limit that admits nothing.
const Never time.Duration = 1<<63 - 1

// Answer is what a [Backend] says about one item.
type Answer struct {
	// Exceeded is empty when the item is within its limits.
	Exceeded Exceeded
	// Main and Daily are the counts before the charge; Daily is 0 for a rule without daily limit.
	Main, Daily float64
	// Now is the time that counted, in milliseconds since 1970.
	Now int64
	// RetryAt is when the item would be admitted, in milliseconds since 1970; [RetryNever] if never. Of meaning only when Exceeded.
	RetryAt int64
}

// RetryNever is the RetryAt of an item that is never admitted.
const RetryNever int64 = -1

// Result words an answer for a charge of n.
func (r Rule) Result(n float64, a Answer) Result {
	c := r.Config
	if a.Exceeded == "" {
		remaining := c.Limit - a.Main - n
		if c.DailyLimit != nil {
			remaining = min(remaining, *c.DailyLimit-a.Daily-n)
		}
		return Result{Success: true, RemainingLimit: max(0, remaining)}
	}
	result := Result{ExceededLimit: a.Exceeded, RetryAfter: Never}
	if a.RetryAt != RetryNever {
		result.RetryAfter = time.Duration(a.RetryAt-a.Now) * time.Millisecond
	}
	switch a.Exceeded {
	case ExceededMain:
		result.LimitValue, result.PeriodSeconds = &c.Limit, &c.Period
	case ExceededBurst:
		result.LimitValue, result.PeriodSeconds = &c.Burst, c.BurstWindow
	case ExceededDaily:
		day := float64(dayMillis / 1000)
		result.LimitValue, result.PeriodSeconds = c.DailyLimit, &day
	}
	return result
}

// Remaining is what main and daily window admit, at least 0.
func (r Rule) Remaining(a Answer) float64 {
	remaining := r.Config.Limit - a.Main
	if daily := deref(r.Config.DailyLimit); daily != 0 {
		remaining = min(remaining, daily-a.Daily)
	}
	return max(0, remaining)
}
