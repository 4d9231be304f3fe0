package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a job.
const (
	// MaxCallback is the longest name of a callback in bytes.
	MaxCallback = 256
	// MaxJobPayload is the largest payload of a job in bytes of JSON text.
	MaxJobPayload = 256 << 10
	// MaxDelay is how far away a delay may be.
	MaxDelay = 10 * 365 * 24 * time.Hour
	// MaxInterval is the longest interval, that of the agents SDK.
	MaxInterval = 30 * 24 * time.Hour
	// MaxClaim is how long a run may be claimed at once.
	MaxClaim = 24 * time.Hour
	// MaxJobError is how much of the last error a job keeps, in bytes.
	MaxJobError = 500
	// MaxAttempts and MaxRetryDelay bound a Retry.
	MaxAttempts   = 1000
	MaxRetryDelay = 24 * time.Hour

	maxCron = 200
)

var errMaxAttempts = fmt.Errorf("%w: retry.maxAttempts must be >= 1", ErrInvalid)

// decodeRequest reads a payload strictly: a field that is spelled wrongly must not be ignored. Errors contain field names only.
func decodeRequest(payload []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	var wrong *json.UnmarshalTypeError
	var when *time.ParseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%w: payload: %s has the wrong type", ErrInvalid, shorten(wrong.Field, 100))
	case errors.As(err, &when):
		return fmt.Errorf("%w: payload: a time is not in RFC 3339", ErrInvalid)
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return fmt.Errorf("%w: payload: %s", ErrInvalid, shorten(strings.TrimPrefix(err.Error(), "json: "), 100))
	default:
		return fmt.Errorf("%w: payload is not an object of this kind", ErrInvalid)
	}
}

// checkText holds an id or a name against its limit.
func checkText(field, value string, most int) error {
	if value == "" || len(value) > most || !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r == 0x7F }) {
		return fmt.Errorf("%w: %s must be 1 to %d bytes of UTF-8 without control characters", ErrInvalid, field, most)
	}
	return nil
}

// validate holds the fields of a new or imported job against the limits.
func (j Job) validate() error {
	if err := checkText("id", j.ID, MaxID); err != nil {
		return err
	}
	// The agents SDK has jobs of its own, such as cf:keep-alive; an export must not mistake others for them.
	if strings.HasPrefix(j.ID, "cf:") {
		return fmt.Errorf("%w: ids that begin with cf: are reserved", ErrInvalid)
	}
	if err := checkText("callback", j.Callback, MaxCallback); err != nil {
		return err
	}
	if len(j.Payload) > MaxJobPayload {
		return fmt.Errorf("%w: payload of the job is %d bytes, the limit is %d", ErrTooLarge, len(j.Payload), MaxJobPayload)
	}
	if y := j.Due.Year(); y < 1970 || y > 9999 {
		return fmt.Errorf("%w: due must be from 1970 to 9999", ErrInvalid)
	}
	if j.Run < 1 || j.Attempt < 0 || j.Missed < 0 {
		return fmt.Errorf("%w: run must be 1 or more, attempt and missed 0 or more", ErrInvalid)
	}
	if err := j.validateType(); err != nil {
		return err
	}
	return j.Retry.validate()
}

func (j Job) validateType() error {
	switch j.Type {
	case JobDelayed, JobScheduled, JobQueue:
		return nil
	case JobCron:
		_, err := parseCron(j.Cron)
		return err
	case JobInterval:
		return checkInterval(j.IntervalSeconds)
	default:
		return fmt.Errorf("%w: type must be one of delayed, scheduled, cron, interval, queue", ErrInvalid)
	}
}

func checkInterval(seconds float64) error {
	if !(seconds > 0) {
		return fmt.Errorf("%w: intervalSeconds must be a positive number", ErrInvalid)
	}
	if seconds > MaxInterval.Seconds() {
		return fmt.Errorf("%w: intervalSeconds cannot exceed %d seconds (30 days)", ErrInvalid, int(MaxInterval.Seconds()))
	}
	return nil
}

func checkDelay(seconds float64) error {
	if !(math.Abs(seconds) <= MaxDelay.Seconds()) {
		return fmt.Errorf("%w: delaySeconds must be at most %d either way", ErrInvalid, int(MaxDelay.Seconds()))
	}
	return nil
}

func (r Retry) validate() error {
	full := r.Resolved()
	limit := int(MaxRetryDelay.Milliseconds())
	switch {
	case r.MaxAttempts < 0:
		return errMaxAttempts
	case r.MaxAttempts > MaxAttempts:
		return fmt.Errorf("%w: retry.maxAttempts must be <= %d", ErrInvalid, MaxAttempts)
	case r.BaseDelayMS < 0 || r.BaseDelayMS > limit:
		return fmt.Errorf("%w: retry.baseDelayMs must be 0 to %d", ErrInvalid, limit)
	case r.MaxDelayMS < 0 || r.MaxDelayMS > limit:
		return fmt.Errorf("%w: retry.maxDelayMs must be 0 to %d", ErrInvalid, limit)
	case full.BaseDelayMS > full.MaxDelayMS:
		return fmt.Errorf("%w: retry.baseDelayMs must be <= retry.maxDelayMs", ErrInvalid)
	}
	return nil
}

// Resolved fills in the defaults.
func (r Retry) Resolved() Retry {
	if r.MaxAttempts == 0 {
		r.MaxAttempts = 3
	}
	if r.BaseDelayMS == 0 {
		r.BaseDelayMS = 100
	}
	if r.MaxDelayMS == 0 {
		r.MaxDelayMS = 3000
	}
	return r
}
