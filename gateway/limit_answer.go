package gateway

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
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

// limitRejection is the error of a charge that was rejected: 429, with the results beside the problem.
type limitRejection struct {
	results LimitResults
	details LimitDetails
	// again is how long to wait in whole seconds, negative when no waiting helps.
	again int64
}

func (e *limitRejection) Error() string { return e.details.Message }

// problem is the body: a problem, the first result that rejected, and the details.
func (e *limitRejection) problem() Problem {
	return Problem{
		Type: "urn:vibesdk:problem:rate-limited", Title: http.StatusText(http.StatusTooManyRequests),
		Status: http.StatusTooManyRequests, Detail: e.details.Message,
	}
}

// MarshalJSON implements json.Marshaler.
func (e *limitRejection) MarshalJSON() ([]byte, error) {
	first := e.first()
	return json.Marshal(struct {
		Problem
		LimitResult
		Details LimitDetails  `json:"details"`
		Results []LimitResult `json:"results"`
	}{e.problem(), first, e.details, e.results.Results})
}

// answer writes the rejection. Retry-After is left out when no waiting helps.
func (e *limitRejection) answer(w http.ResponseWriter) {
	if e.again >= 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(max(e.again, 1), 10))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTooManyRequests)
	_ = json.NewEncoder(w).Encode(e) // a client that is gone needs no answer
}

func (e *limitRejection) first() LimitResult {
	for _, r := range e.results.Results {
		if !r.Success {
			return r
		}
	}
	return LimitResult{}
}

// tooMany makes the error of charges of which at least one was rejected.
func tooMany(limiter *ratelimit.Limiter, charges []ratelimit.Charge, results LimitResults) error {
	e := &limitRejection{results: results}
	first := e.first()
	config := configOf(limiter, charges, first)
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
			e.again = max(e.again, int64(math.Ceil(r.RetryAfterSeconds)))
		}
	}
	if e.again > 0 {
		e.details.Suggestions = append(e.details.Suggestions, fmt.Sprintf("Try again in %d seconds", e.again))
	}
	return e
}

func configOf(limiter *ratelimit.Limiter, charges []ratelimit.Charge, r LimitResult) ratelimit.Config {
	for _, c := range charges {
		if c.Limit == r.Limit && c.Identifier == r.Identifier {
			config, _ := limiter.ConfigOf(c)
			return config
		}
	}
	return ratelimit.Config{}
}

// setLimitHeaders tells the limits and what is left in the fields of draft-ietf-httpapi-ratelimit-headers: RateLimit-Policy
// lists every limit of the call, the other three speak of the one that leaves least. RateLimit-Reset is exact after a rejection;
// otherwise it is the whole period, since a sliding window has no moment at which everything is back.
func setLimitHeaders(h http.Header, limiter *ratelimit.Limiter, charges []ratelimit.Charge, results []ratelimit.Result) {
	var policies []string
	least := -1
	for i, c := range charges {
		config, ok := limiter.ConfigOf(c)
		if !ok {
			continue
		}
		policies = append(policies, fmt.Sprintf("%q;q=%s;w=%d", c.Limit, number(config.Limit), int64(math.Ceil(config.Period))))
		if least < 0 || results[i].RemainingLimit < results[least].RemainingLimit || results[least].Success && !results[i].Success {
			least = i
		}
	}
	if least < 0 {
		return
	}
	config, _ := limiter.ConfigOf(charges[least])
	reset := config.Period
	if r := results[least]; !r.Success && r.RetryAfter != ratelimit.Never {
		reset = r.RetryAfter.Seconds()
	}
	h.Set("RateLimit-Policy", strings.Join(policies, ", "))
	h.Set("RateLimit-Limit", number(config.Limit))
	h.Set("RateLimit-Remaining", strconv.FormatInt(int64(math.Floor(results[least].RemainingLimit)), 10))
	h.Set("RateLimit-Reset", strconv.FormatInt(int64(math.Ceil(reset)), 10))
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
