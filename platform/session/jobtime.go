package session

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

var (
	cronFields  = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	cronSeconds = cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
)

// The texts that the agents SDK has for it.
const (
	badCron   = "Invalid cron expression"
	cronParts = badCron + ": expected 5 or 6 elements."
)

// parseCron reads an expression of five fields, or of six with seconds first. Times are UTC.
func parseCron(expression string) (cron.Schedule, error) {
	if len(expression) > maxCron {
		return nil, fmt.Errorf("%w: cron is longer than %d bytes", ErrInvalid, maxCron)
	}
	parser := cronFields
	switch len(strings.Fields(expression)) {
	case 5:
	case 6:
		parser = cronSeconds
	default:
		return nil, fmt.Errorf("%w: %s", ErrInvalid, cronParts)
	}
	// The parser would take a time zone as a prefix, and cannot do without a field after it.
	if strings.Contains(expression, "=") {
		return nil, fmt.Errorf("%w: %s", ErrInvalid, badCron)
	}
	s, err := parser.Parse(expression)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrInvalid, badCron)
	}
	if s.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, fmt.Errorf("%w: cron is never due", ErrInvalid)
	}
	return s, nil
}

// seconds is a duration to the microsecond.
func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s*1e6)) * time.Microsecond
}

// every is the interval, at least a millisecond: a shorter one would leave no time for anything else.
func (j Job) every() time.Duration { return max(seconds(j.IntervalSeconds), time.Millisecond) }

// plan sets when a new job is due.
func (j *Job) plan(r ScheduleRequest, now time.Time) error {
	set := 0
	for _, given := range []bool{r.DelaySeconds != nil, !r.At.IsZero(), r.Cron != "", r.IntervalSeconds != nil} {
		if given {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("%w: exactly one of delaySeconds, at, cron and intervalSeconds must be given", ErrInvalid)
	}
	switch {
	case r.DelaySeconds != nil:
		if err := checkDelay(*r.DelaySeconds); err != nil {
			return err
		}
		j.Type, j.DelaySeconds = JobDelayed, *r.DelaySeconds
		j.Due = now.Add(seconds(*r.DelaySeconds))
	case r.Cron != "":
		s, err := parseCron(r.Cron)
		if err != nil {
			return err
		}
		j.Type, j.Due = JobCron, s.Next(now)
	case r.IntervalSeconds != nil:
		if err := checkInterval(*r.IntervalSeconds); err != nil {
			return err
		}
		j.Type, j.IntervalSeconds = JobInterval, *r.IntervalSeconds
		j.Due = now.Add(j.every())
	default:
		j.Type, j.Due = JobScheduled, r.At.UTC().Truncate(time.Microsecond)
	}
	return nil
}

// next is when a recurring job is due after a run that ended now, zero when never again.
func (j Job) next(now time.Time) time.Time {
	if j.Type == JobInterval {
		return now.Add(j.every())
	}
	s, err := parseCron(j.Cron)
	if err != nil {
		return time.Time{}
	}
	return s.Next(now.UTC())
}

// maxPassed bounds what is counted as missed at once.
const maxPassed = 10_000

// passed is how many occurrences behind the one that is due lie before or at now, at most maxPassed.
func (j Job) passed(now time.Time) int64 {
	if j.Type == JobInterval {
		return min(max(int64(now.Sub(j.Due)/j.every()), 0), maxPassed)
	}
	s, err := parseCron(j.Cron)
	if err != nil {
		return 0
	}
	n := int64(0)
	for at := s.Next(j.Due.UTC()); n < maxPassed && !at.IsZero() && !at.After(now); at = s.Next(at) {
		n++
	}
	return n
}

// backoff is how long to wait after the failed attempt: anything from nothing to the limit of this attempt, spread by a hash of the job
// and its run, because what a mutation does must not depend on chance.
func (j Job) backoff() time.Duration {
	r := j.Retry.Resolved()
	limit := r.MaxDelayMS
	if j.Attempt < 30 {
		limit = min(limit, r.BaseDelayMS<<j.Attempt)
	}
	sum := sha256.Sum256([]byte(j.ID + "\x00" + strconv.FormatInt(j.Run, 10)))
	micros, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), uint64(limit)*1000+1)
	return time.Duration(micros) * time.Microsecond
}
