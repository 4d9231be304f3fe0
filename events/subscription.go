package events

import (
	"errors"
	"fmt"
	"time"
)

// withDefaults gives each zero field its documented default.
func (s Subscription) withDefaults() Subscription {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	def(&s.Attempts, 20)
	def(&s.Concurrency, 16)
	def(&s.MaxBatch, 1)
	def(&s.MaxOutstanding, 1000)
	defTime := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	defTime(&s.AttemptTimeout, 30*time.Second)
	defTime(&s.MinBackoff, 100*time.Millisecond)
	defTime(&s.MaxBackoff, max(time.Minute, s.MinBackoff))
	return s
}

// check returns every fault of a subscription with defaults applied, joined.
func (s Subscription) check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(s.Name == "", "name is empty")
	fault(s.Topic.Name == "", "topic name is empty")
	fault(s.Attempts < 1, "attempts is %d, the least is 1", s.Attempts)
	fault(s.Concurrency < 1, "concurrency is %d, the least is 1", s.Concurrency)
	fault(s.MaxBatch < 1, "max batch is %d, the least is 1", s.MaxBatch)
	fault(s.MaxOutstanding < 1, "max outstanding is %d, the least is 1", s.MaxOutstanding)
	fault(s.AttemptTimeout < 0, "attempt timeout is %s, it must be positive", s.AttemptTimeout)
	fault(s.MinBackoff < 0, "min backoff is %s, it must be positive", s.MinBackoff)
	fault(s.MaxBackoff < s.MinBackoff, "max backoff is %s, less than min backoff %s", s.MaxBackoff, s.MinBackoff)
	return errors.Join(faults...)
}
