package ratelimittest

import (
	"math"
	"slices"

	"vibesdk-gcp/platform/ratelimit"
)

// oracle is the meaning of a rate limit written down a second time, as plainly as can be: one bucket after the other.
type oracle map[string]map[int64]float64

func (o oracle) count(key string, from, now, size int64) float64 {
	var sum float64
	for t := from; t <= now; t += size {
		sum += o[key][t]
	}
	return sum
}

// windows counts the three windows of a configuration.
func (o oracle) windows(key string, now int64, c ratelimit.Config) (size int64, main, burst, daily float64) {
	size = 10_000
	if c.BucketSize != 0 {
		size = int64(math.Round(c.BucketSize * 1000))
	}
	back := func(window int64) int64 { return max(0, now-window) / size * size }
	start := back(int64(math.Round(c.Period * 1000)))
	if c.CalendarDaily {
		start = now / 86_400_000 * 86_400_000 / size * size
	}
	main = o.count(key, start, now, size)
	burstWindow := 60.0
	if c.BurstWindow != nil && *c.BurstWindow != 0 {
		burstWindow = *c.BurstWindow
	}
	burst = o.count(key, back(int64(math.Round(burstWindow*1000))), now, size)
	if c.DailyLimit != nil && *c.DailyLimit != 0 {
		daily = o.count(key, back(86_400_000), now, size)
	}
	return size, main, burst, daily
}

// rejects names the window that would reject, or none.
func (o oracle) rejects(key string, now int64, c ratelimit.Config) ratelimit.Exceeded {
	_, main, burst, daily := o.windows(key, now, c)
	switch {
	case main >= c.Limit:
		return ratelimit.ExceededMain
	case c.Burst != 0 && burst >= c.Burst:
		return ratelimit.ExceededBurst
	case c.DailyLimit != nil && *c.DailyLimit != 0 && daily >= *c.DailyLimit:
		return ratelimit.ExceededDaily
	}
	return ""
}

// increment charges n if nothing rejects it.
func (o oracle) increment(key string, now int64, c ratelimit.Config, n float64) ratelimit.Result {
	switch exceeded := o.rejects(key, now, c); exceeded {
	case ratelimit.ExceededMain:
		return ratelimit.Result{ExceededLimit: exceeded, LimitValue: &c.Limit, PeriodSeconds: &c.Period}
	case ratelimit.ExceededBurst:
		return ratelimit.Result{ExceededLimit: exceeded, LimitValue: &c.Burst, PeriodSeconds: c.BurstWindow}
	case ratelimit.ExceededDaily:
		day := 86400.0
		return ratelimit.Result{ExceededLimit: exceeded, LimitValue: c.DailyLimit, PeriodSeconds: &day}
	}
	size, main, _, daily := o.windows(key, now, c)
	if o[key] == nil {
		o[key] = map[int64]float64{}
	}
	o[key][now/size*size] += n
	left := c.Limit - main - n
	if c.DailyLimit != nil {
		left = math.Min(left, *c.DailyLimit-daily-n)
	}
	return ratelimit.Result{Success: true, RemainingLimit: math.Max(0, left)}
}

// remaining is what main and daily window still admit.
func (o oracle) remaining(key string, now int64, c ratelimit.Config) float64 {
	_, main, _, daily := o.windows(key, now, c)
	left := c.Limit - main
	if c.DailyLimit != nil && *c.DailyLimit != 0 {
		left = math.Min(left, *c.DailyLimit-daily)
	}
	return math.Max(0, left)
}

// retryAt tries every time at which a bucket leaves a window.
func (o oracle) retryAt(key string, now int64, r ratelimit.Rule) int64 {
	if r.Config.Limit == 0 {
		return ratelimit.RetryNever
	}
	var times []int64
	for start := range o[key] {
		for _, w := range r.Windows() {
			times = append(times, start+r.Size+w.Length)
		}
	}
	for day := range int64(4) {
		times = append(times, (now/86_400_000+1+day)*86_400_000)
	}
	slices.Sort(times)
	for _, at := range times {
		if at > now && o.rejects(key, at, r.Config) == "" {
			return at
		}
	}
	panic("no time admits") // after all times every window is empty
}
