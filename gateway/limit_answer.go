package gateway

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vibesdk-gcp/platform/ratelimit"
)

// LimitDetails says which limit rejected, as the details of the original's RateLimitExceededError do.
type LimitDetails struct {
	Message     string   `json:"message"`
	LimitType   string   `json:"limitType"`
	Limit       float64  `json:"limit"`
	Period      float64  `json:"period"`
	Suggestions []string `json:"suggestions"`
}

// limitedError is the error of a charge that was rejected: 429, with the results beside the problem.
type limitedError struct {
	results LimitResults
	details LimitDetails
	// again is how long to wait in whole seconds, negative when no waiting helps.
	again int64
}

func (e *limitedError) Error() string { return e.details.Message }

// LimitedProblem is the problem of a charge that was rejected, with the first result that rejected and all results beside it.
type LimitedProblem struct {
	Problem
	LimitResult

	Details LimitDetails  `json:"details"`
	Results []LimitResult `json:"results"`
}

// body is the problem with what belongs to it.
func (e *limitedError) body(p Problem) LimitedProblem {
	return LimitedProblem{p, e.results.Results[e.first()], e.details, e.results.Results}
}

// setHeaders says when to come back. Retry-After is left out when no waiting helps.
func (e *limitedError) setHeaders(h http.Header) {
	if e.again > 0 {
		h.Set("Retry-After", strconv.FormatInt(e.again, 10))
	}
	h.Set("Cache-Control", "no-store")
}

// first is the index of the first result that rejected.
func (e *limitedError) first() int {
	return slices.IndexFunc(e.results.Results, func(r LimitResult) bool { return !r.Success })
}

// tooMany makes the error of charges of which at least one was rejected.
func tooMany(limiter *ratelimit.Limiter, charges []ratelimit.Charge, results LimitResults) error {
	e := &limitedError{results: results}
	first := results.Results[e.first()]
	config, _ := limiter.ConfigOf(charges[e.first()])
	e.details = LimitDetails{
		Message:   fmt.Sprintf("Rate limit exceeded for %s. Please try again later.", first.Limit),
		LimitType: first.Limit, Limit: config.Limit, Period: config.Period, Suggestions: []string{},
	}
	if first.LimitValue != nil {
		e.details.Limit = *first.LimitValue
	}
	if first.PeriodSeconds != nil {
		e.details.Period = *first.PeriodSeconds
	}
	for _, r := range results.Results {
		switch {
		case r.Success:
		case r.RetryAfter == ratelimit.Never:
			e.again = -1
		case e.again >= 0:
			e.again = max(e.again, 1, int64(math.Ceil(r.RetryAfterSeconds)))
		}
	}
	if e.again > 0 {
		e.details.Suggestions = append(e.details.Suggestions, fmt.Sprintf("Try again in %d seconds", e.again))
	}
	return e
}

// setLimitHeaders tells the limits of a call and what the tightest of them leaves, in the fields of
// draft-ietf-httpapi-ratelimit-headers: RateLimit-Policy and RateLimit as since its version 8, and RateLimit-Limit, -Remaining and
// -Reset as before. The time to the reset is exact after a rejection, and absent when no waiting helps; otherwise it is
// the whole period, since a sliding window has no moment at which everything is back.
func setLimitHeaders(h http.Header, limiter *ratelimit.Limiter, charges []ratelimit.Charge, results []ratelimit.Result) {
	policies := make([]string, len(charges))
	least := 0
	for i, c := range charges {
		config, _ := limiter.ConfigOf(c)
		policies[i] = fmt.Sprintf("%q;q=%d;w=%d", c.Limit, whole(config.Limit), int64(math.Ceil(config.Period)))
		if tighter(results[i], results[least]) {
			least = i
		}
	}
	slices.Sort(policies)
	config, _ := limiter.ConfigOf(charges[least])
	left, reset := whole(results[least].RemainingLimit), int64(math.Ceil(config.Period))
	if r := results[least]; !r.Success {
		reset = int64(math.Ceil(r.RetryAfter.Seconds()))
	}
	h.Set("RateLimit-Policy", strings.Join(slices.Compact(policies), ", "))
	h.Set("RateLimit-Limit", strconv.FormatInt(whole(config.Limit), 10))
	h.Set("RateLimit-Remaining", strconv.FormatInt(left, 10))
	state := fmt.Sprintf("%q;r=%d", charges[least].Limit, left)
	if results[least].RetryAfter != ratelimit.Never {
		h.Set("RateLimit-Reset", strconv.FormatInt(reset, 10))
		state += fmt.Sprintf(";t=%d", reset)
	}
	h.Set("RateLimit", state)
}

// tighter reports whether a leaves less than b: a rejection less than anything, the one with the longest wait the least.
func tighter(a, b ratelimit.Result) bool {
	if a.Success != b.Success {
		return !a.Success
	}
	if !a.Success {
		return a.RetryAfter > b.RetryAfter
	}
	return a.RemainingLimit < b.RemainingLimit
}

// whole rounds down: the fields take whole numbers only, and half a call is none.
func whole(v float64) int64 { return int64(math.Floor(v)) }
