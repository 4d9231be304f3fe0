package ratelimit

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Bounds of a Config, a key and a charge.
const (
	// MaxKey bounds a key, in bytes.
	MaxKey = 512
	// MaxBuckets bounds the buckets of the longest window of a Config.
	MaxBuckets = 100_000
	// MaxCount bounds limits and single charges, so that sums stay exact to far below 1e-9.
	MaxCount = 1e9
	// MaxWindow bounds every window, in seconds: a year.
	MaxWindow = 366 * 86400
	// MaxItems bounds the keys of one call.
	MaxItems = 16

	dayMillis            = 86_400_000
	defaultBucketSeconds = 10
	defaultBurstSeconds  = 60
)

// Config is one limit. Times are seconds and may have a fraction, down to milliseconds; counts may be any fraction.
type Config struct {
	// Limit is how much the main window admits. 0 admits nothing. At most MaxCount.
	Limit float64 `json:"limit" yaml:"limit"`
	// Period is the main window. With CalendarDaily it is only reported.
	Period float64 `json:"period" yaml:"period"`
	// Burst is how much the burst window admits. 0 means no burst limit.
	Burst float64 `json:"burst,omitempty" yaml:"burst,omitempty"`
	// BurstWindow defaults to 60 when absent or 0; a rejection reports it as it was given.
	BurstWindow *float64 `json:"burstWindow,omitempty" yaml:"burstWindow,omitempty"`
	// BucketSize defaults to 10 when 0.
	BucketSize float64 `json:"bucketSize,omitempty" yaml:"bucketSize,omitempty"`
	// DailyLimit is how much 24 h admit. Absent means no daily limit. 0 means none either, but what remains
	// after a charge is reported as 0.
	DailyLimit *float64 `json:"dailyLimit,omitempty" yaml:"dailyLimit,omitempty"`
	// CalendarDaily lets the main window begin at 00:00 UTC of the day.
	CalendarDaily bool `json:"calendarDaily,omitempty" yaml:"calendarDaily,omitempty"`
}

// Validate returns nil or a [FieldError] about the first faulty field.
func (c Config) Validate() error {
	_, err := c.Rule()
	return err
}

// Rule checks the limit and turns it into whole milliseconds. A faulty field is a [FieldError].
func (c Config) Rule() (Rule, error) {
	r := Rule{Config: c, Size: defaultBucketSeconds * 1000, BurstWindow: defaultBurstSeconds * 1000}
	for _, count := range []struct {
		name  string
		value float64
	}{{"limit", c.Limit}, {"burst", c.Burst}, {"dailyLimit", deref(c.DailyLimit)}} {
		if !(count.value >= 0 && count.value <= MaxCount) { // so written, it refuses NaN as well
			return Rule{}, &FieldError{count.name, fmt.Sprintf("must be 0 to %g", float64(MaxCount))}
		}
	}
	var err error
	if r.Main, err = millis("period", c.Period, 0.001, MaxWindow); err != nil {
		return Rule{}, err
	}
	if c.BucketSize != 0 {
		if r.Size, err = millis("bucketSize", c.BucketSize, 0.001, 86400); err != nil {
			return Rule{}, err
		}
	}
	if deref(c.BurstWindow) != 0 {
		if r.BurstWindow, err = millis("burstWindow", *c.BurstWindow, 0.001, MaxWindow); err != nil {
			return Rule{}, err
		}
	}
	if longest := r.longest(); longest/r.Size > MaxBuckets {
		return Rule{}, &FieldError{"bucketSize", fmt.Sprintf("divides a window of %g s into more than %d buckets", float64(longest)/1000, MaxBuckets)}
	}
	return r, nil
}

// millis reads seconds that are a whole number of milliseconds.
func millis(name string, seconds, least, most float64) (int64, error) {
	if !(seconds >= least && seconds <= most) {
		return 0, &FieldError{name, fmt.Sprintf("must be %g to %.0f seconds", least, most)}
	}
	ms := math.Round(seconds * 1000)
	if math.Abs(seconds*1000-ms) > 1e-3 {
		return 0, &FieldError{name, "must be a whole number of milliseconds"}
	}
	return int64(ms), nil
}

// ValidateKey refuses keys that are empty, longer than MaxKey bytes, not UTF-8, or hold an ASCII control character.
func ValidateKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: key is empty", ErrInvalid)
	case len(key) > MaxKey:
		return fmt.Errorf("%w: key is longer than %d bytes", ErrInvalid, MaxKey)
	case !isText(key):
		return fmt.Errorf("%w: key must be UTF-8 without control characters", ErrInvalid)
	}
	return nil
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// ValidateCharge refuses charges that are not a number or beyond ±MaxCount.
func ValidateCharge(n float64) error {
	if !(math.Abs(n) <= MaxCount) {
		return fmt.Errorf("%w: n must be -%g to %g", ErrInvalid, float64(MaxCount), float64(MaxCount))
	}
	return nil
}

// Key is the key of an identifier (`user:<id>`, `ip:<address>`) under a limit's name.
func Key(limit, identifier string) string { return "platform:" + limit + ":" + identifier }

func deref(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}
