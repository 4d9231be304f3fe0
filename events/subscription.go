package events

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// WithDefaults gives each zero field its documented default. The bus does so itself; it is for those who write the
// policy down elsewhere.
func (s Subscription) WithDefaults() Subscription {
	s.Attempts = cmp.Or(s.Attempts, 20)
	s.Concurrency = cmp.Or(s.Concurrency, 16)
	s.MaxBatch = cmp.Or(s.MaxBatch, 1)
	s.MaxOutstanding = cmp.Or(s.MaxOutstanding, 1000)
	s.AttemptTimeout = cmp.Or(s.AttemptTimeout, 30*time.Second)
	s.MinBackoff = cmp.Or(s.MinBackoff, 100*time.Millisecond)
	s.MaxBackoff = cmp.Or(s.MaxBackoff, max(time.Minute, s.MinBackoff))
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
