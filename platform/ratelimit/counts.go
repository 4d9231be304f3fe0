package ratelimit

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Counts is all that a backend knows of one key, in a form that every other backend takes over.
type Counts struct {
	Key string `json:"key"`
	// Horizon is how far back the longest window reaches that charged the key, in milliseconds.
	Horizon int64 `json:"horizon"`
	// Clock is the time of the last charge by the backend's own clock, in milliseconds since 1970; 0 when all times were given.
	Clock int64 `json:"clock"`
	// Sizes are the bucket sizes in use, at most 8.
	Sizes []SizeUse `json:"sizes"`
	// Buckets are those that were charged, in ascending order of time, at most MaxMoved.
	Buckets []Bucket `json:"buckets"`
	// Adjusted are the adjustments that the key has seen.
	Adjusted []Adjusted `json:"adjusted"`
}

// SizeUse is a bucket size and when it charged last, to a sixteenth of the horizon; both in milliseconds.
type SizeUse struct {
	Size int64 `json:"size"`
	Used int64 `json:"used"`
}

// Bucket is what was charged from a time on, in milliseconds since 1970, for one bucket size.
type Bucket struct {
	Start int64   `json:"start"`
	Count float64 `json:"count"`
}

// Adjusted is the id of an adjustment, and until when it is remembered, in milliseconds since 1970.
type Adjusted struct {
	ID    string `json:"id"`
	Until int64  `json:"until"`
}

// MaxMoved is the most buckets that counts are moved with.
const MaxMoved = 1 << 20

// Lister is a [Backend] that can list its keys. Durable Objects cannot.
type Lister interface {
	// Keys returns some keys, about limit of them, and the cursor of those behind; an empty one says that there are no more. Every
	// key that is there throughout comes at least once. cursor is empty, or one that was returned, also to another process.
	Keys(ctx context.Context, cursor string, limit int) (keys []string, next string, err error)
}

// Check validates what [Backend.Restore] gets. ErrInvalid names the field and the limit.
func (c Counts) Check() error {
	if err := ValidateKey(c.Key); err != nil {
		return err
	}
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: counts: "+format, append([]any{ErrInvalid}, args...)...)
	}
	if c.Horizon < 0 || c.Clock < 0 || c.Horizon > maxMillis || c.Clock > maxMillis {
		return fault("horizon and clock must be 0 to %d", maxMillis)
	}
	if len(c.Sizes) > maxSeries {
		return fault("%d bucket sizes, the most are %d", len(c.Sizes), maxSeries)
	}
	if len(c.Buckets) > MaxMoved {
		return fault("%d buckets, the most are %d", len(c.Buckets), MaxMoved)
	}
	for i, s := range c.Sizes {
		if s.Size < 1 || s.Size > maxMillis || slices.ContainsFunc(c.Sizes[:i], func(o SizeUse) bool { return o.Size == s.Size }) {
			return fault("bucket size %d must be a whole number of milliseconds, and once", s.Size)
		}
	}
	for i, b := range c.Buckets {
		if b.Start < 0 || b.Start > maxMillis || i > 0 && b.Start <= c.Buckets[i-1].Start || math.IsNaN(b.Count) || math.IsInf(b.Count, 0) {
			return fault("bucket %d must have a count and begin after the one before, within %d", i, maxMillis)
		}
	}
	for _, a := range c.Adjusted {
		if a.ID == "" || len(a.ID) > 128 || a.Until < 0 || a.Until > maxMillis {
			return fault("the id of an adjustment must have 1 to 128 bytes and a time within %d", maxMillis)
		}
	}
	return nil
}

// maxMillis is the end of the year 9999 with room for windows; doubles have every whole number up to it.
const maxMillis = 1 << 49

// Within is what of the counts can still matter at a time in milliseconds, in one order.
func (c Counts) Within(now int64) Counts {
	c.Buckets = slices.DeleteFunc(slices.Clone(c.Buckets), func(b Bucket) bool {
		onGrid := slices.ContainsFunc(c.Sizes, func(s SizeUse) bool { return b.Start%s.Size == 0 })
		return b.Start < now-c.Horizon || b.Count == 0 || !onGrid
	})
	c.Adjusted = slices.DeleteFunc(slices.Clone(c.Adjusted), func(a Adjusted) bool { return a.Until < now })
	slices.SortFunc(c.Adjusted, func(a, b Adjusted) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return c
}

// Difference says in which way two backends' counts of a key differ for whoever charges it at a time in milliseconds, and nothing when
// they do not. Counts are the same within a relative 1e-9: they may have been added up in another order.
func (c Counts) Difference(other Counts, now int64) string {
	a, b := c.Within(now), other.Within(now)
	horizon := max(a.Horizon, b.Horizon) // one backend may be told to keep counts longer
	a.Horizon, b.Horizon = horizon, horizon
	if len(a.Buckets) != len(b.Buckets) {
		return fmt.Sprintf("%d and %d buckets", len(a.Buckets), len(b.Buckets))
	}
	for i, bucket := range a.Buckets {
		if o := b.Buckets[i]; bucket.Start != o.Start || math.Abs(bucket.Count-o.Count) > 1e-9*max(1, math.Abs(o.Count)) {
			return fmt.Sprintf("bucket %d: %g at %d and %g at %d", i, bucket.Count, bucket.Start, o.Count, o.Start)
		}
	}
	if len(a.Adjusted) != len(b.Adjusted) {
		return fmt.Sprintf("%d and %d remembered adjustments", len(a.Adjusted), len(b.Adjusted))
	}
	for i, id := range a.Adjusted {
		if id.ID != b.Adjusted[i].ID {
			return fmt.Sprintf("remembered adjustment %d", i)
		}
	}
	return ""
}

// Counts is all that the state holds, but for adjustments. Every row of the key must have been put.
func (s *State) Counts(key string) Counts {
	c := Counts{Key: key, Horizon: s.head.horizon, Clock: s.head.clock}
	buckets := map[int64]float64{}
	for _, use := range s.head.series {
		c.Sizes = append(c.Sizes, SizeUse{Size: use.size, Used: use.used})
		for id, cell := range s.cells {
			if id.Size != use.size || id.Level > 0 || cell == nil {
				continue
			}
			for i, slot := range cell.slots {
				buckets[(id.Index<<fanBits+int64(slot))*id.Size] = cell.sums[i]
			}
		}
	}
	for _, start := range slices.Sorted(maps.Keys(buckets)) {
		c.Buckets = append(c.Buckets, Bucket{Start: start, Count: buckets[start]})
	}
	return c
}

// Restore makes the counts those of the state, which must be new. It is all that [State.Changes] then has.
func (s *State) Restore(c Counts) error {
	s.head = head{horizon: max(c.Horizon, s.keep), clock: c.Clock}
	s.headDirty = true
	for _, use := range c.Sizes {
		s.head.series = append(s.head.series, series{size: use.Size, used: use.Used})
	}
	for _, b := range c.Buckets {
		s.head.fractional = s.head.fractional || b.Count != math.Trunc(b.Count)
		s.head.negative = s.head.negative || b.Count < 0
		for _, use := range c.Sizes {
			if b.Start%use.Size != 0 {
				continue
			}
			if err := s.set(use.Size, b.Start/use.Size, b.Count); err != nil {
				return err
			}
		}
	}
	return nil
}

// Until is the last time, in milliseconds since 1970, at which a key that is left alone may matter.
func (s *State) Until() int64 { return s.until() }
