package ratelimit

import (
	"context"
	"fmt"
	"time"
)

// Item is a charge of N to a key under a rule.
type Item struct {
	Key  string
	Rule Rule
	N    float64
}

// Adjustment corrects an earlier charge in the bucket that it was made to.
type Adjustment struct {
	// ID identifies the adjustment: the same ID adjusts a key once. 1 to 128 bytes.
	ID  string
	Key string
	// Rule is that of the charge, Bucket the index of its bucket.
	Rule   Rule
	Bucket int64
	// Delta is added to the bucket. A negative one takes at most what the bucket holds.
	Delta float64
}

// Backend counts. All methods are safe for concurrent use and return as soon as their context ends; what they
// were about may then have happened or not. They get values that passed [Check]. A zero now means the backend's own clock.
type Backend interface {
	// Take decides on every item as of one time and, when none is rejected and dry is not set, charges all of them in one atomic step.
	// The answers are in the order of the items. Keys must differ. It must not charge twice, also
	// not when it tries again; it should answer in one round trip. A call that charges nothing leaves nothing behind, also none of a key's
	// bucket sizes. ErrApart when the keys cannot be charged together.
	Take(ctx context.Context, now time.Time, items []Item, dry bool) ([]Answer, error)
	// Adjust applies an adjustment whose ID the key has not seen, while its bucket lies within the rule's horizon; otherwise nil, and
	// nothing changes.
	Adjust(ctx context.Context, now time.Time, a Adjustment) error
	// Reset forgets exactly this key. The ids of its adjustments stay known.
	Reset(ctx context.Context, key string) error
	// Sweep forgets what lies beyond every key's horizon and returns how many stored rows that freed. Leaving it
	// out changes no answer, it only keeps memory.
	Sweep(ctx context.Context, now time.Time) (int, error)
	// Dump returns all that is known of a key as of one moment; counts without buckets when nothing is.
	Dump(ctx context.Context, key string) (Counts, error)
	// Restore makes what another backend dumped the counts of its key, in one atomic step: every later answer is as if the key had been
	// charged here. It returns false, and leaves the counts alone, when the key was charged here later than there, by the backends' own
	// clocks. Adjustments become known in either case. The counts passed [Counts.Check]. Twice is once.
	Restore(ctx context.Context, c Counts) (bool, error)
}

// Check validates the arguments of [Backend.Take]. ErrInvalid names the field and the limit.
func Check(now time.Time, items []Item) error {
	if err := checkTime(now); err != nil {
		return err
	}
	if len(items) == 0 || len(items) > MaxItems {
		return fmt.Errorf("%w: a call must charge 1 to %d keys", ErrInvalid, MaxItems)
	}
	for i, item := range items {
		if err := ValidateKey(item.Key); err != nil {
			return err
		}
		if err := ValidateCharge(item.N); err != nil {
			return err
		}
		for _, other := range items[:i] {
			if other.Key == item.Key {
				return fmt.Errorf("%w: one call charges the same key twice", ErrInvalid)
			}
		}
	}
	return nil
}

// checkTime refuses times that have no bucket.
func checkTime(now time.Time) error {
	if !now.IsZero() && (now.Year() < 1970 || now.Year() > 9999) {
		return fmt.Errorf("%w: now must lie in the years 1970 to 9999", ErrInvalid)
	}
	return nil
}

// Millis is a time in milliseconds since 1970, or that of the fallback for the zero time.
func Millis(now time.Time, fallback func() time.Time) int64 {
	if now.IsZero() {
		now = fallback()
	}
	return now.UnixMilli()
}
