package ratelimit

// Rule is a checked [Config] in whole milliseconds. [Config.Rule] makes it.
type Rule struct {
	Config Config
	// Size is the bucket size, Main and BurstWindow the windows.
	Size, Main, BurstWindow int64
}

// Window is one of the windows that a [Rule] limits.
type Window struct {
	Kind  Exceeded
	Limit float64
	// Length in milliseconds; of no meaning with Calendar, which begins at 00:00 UTC.
	Length   int64
	Calendar bool
}

// Windows lists the windows in the order in which they reject.
func (r Rule) Windows() []Window {
	list := append(make([]Window, 0, 3), Window{Kind: ExceededMain, Limit: r.Config.Limit, Length: r.Main, Calendar: r.Config.CalendarDaily})
	if r.Config.Burst != 0 {
		list = append(list, Window{Kind: ExceededBurst, Limit: r.Config.Burst, Length: r.BurstWindow})
	}
	if deref(r.Config.DailyLimit) != 0 {
		list = append(list, Window{Kind: ExceededDaily, Limit: *r.Config.DailyLimit, Length: dayMillis})
	}
	return list
}

// Horizon is how far back the oldest bucket lies that the rule ever reads, in milliseconds.
func (r Rule) Horizon() int64 { return r.longest() + r.Size }

func (r Rule) longest() int64 {
	longest := r.Main
	if r.Config.CalendarDaily {
		longest = dayMillis
	}
	if r.Config.Burst != 0 {
		longest = max(longest, r.BurstWindow)
	}
	if deref(r.Config.DailyLimit) != 0 {
		longest = max(longest, dayMillis)
	}
	return longest
}

// Bucket is the index of the bucket that a time in milliseconds falls into; it starts at index·Size.
func (r Rule) Bucket(now int64) int64 { return now / r.Size }

// First is the index of the oldest bucket that the window counts at a time in milliseconds.
func (w Window) First(now, size int64) int64 {
	if w.Calendar {
		return now / dayMillis * dayMillis / size
	}
	return max(0, now-w.Length) / size
}

// Leaves is the earliest time, in milliseconds and not before now, at which the window's oldest bucket is first or a later one.
func (w Window) Leaves(now, first, size int64) int64 {
	if !w.Calendar {
		return max(now, first*size+w.Length)
	}
	for w.First(now, size) < first {
		now = (now/dayMillis + 1) * dayMillis
	}
	return now
}
