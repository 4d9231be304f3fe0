package gateway

import (
	"net/http"

	"vibesdk-gcp/platform/ratelimit"
)

// LimitResult answers a charge, in the words of the original's rate limiter.
type LimitResult struct {
	ratelimit.Result
	Limit      string `json:"limit"`
	Identifier string `json:"identifier"`
	// RetryAfterSeconds is how long until the same charge would be admitted if nothing else were charged. Absent when it was
	// admitted, and when no waiting helps.
	RetryAfterSeconds float64 `json:"retryAfterSeconds,omitempty"`
	// Degraded says that the backend was down and a guard of this process decided.
	Degraded bool `json:"degraded,omitempty"`
}

// LimitResults answers several charges, in their order. Either all were charged or none.
type LimitResults struct {
	Success bool          `json:"success"`
	Results []LimitResult `json:"results"`
	// Reservation is set when the charges are to be settled.
	Reservation *ratelimit.Reservation `json:"reservation,omitempty"`
}

// LimitAnswer answers one charge.
type LimitAnswer struct {
	LimitResult

	// Reservation is as in [LimitResults].
	Reservation *ratelimit.Reservation `json:"reservation,omitempty"`
}

// LimitRemaining answers what a limit still admits.
type LimitRemaining struct {
	RemainingLimit float64 `json:"remainingLimit"`
	// Degraded is as in [LimitResult].
	Degraded bool `json:"degraded,omitempty"`
}

// LimitList answers the configured limits by name.
type LimitList struct {
	Limits map[string]ratelimit.Limit `json:"limits"`
}

func (g *Gateway) limiter() (*ratelimit.Limiter, error) {
	if g.Limits == nil {
		return nil, &httpError{http.StatusNotImplemented, "no-limits", "this server has no rate limits"}
	}
	return g.Limits, nil
}

// listLimits answers the configured limits by name.
func (g *Gateway) listLimits(w http.ResponseWriter, _ *http.Request) error {
	limiter, err := g.limiter()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, LimitList{limiter.Limits()})
	return nil
}

// actOnLimit answers the custom methods of one limit and identifier.
func (g *Gateway) actOnLimit(action string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		limiter, err := g.limiter()
		if err != nil {
			return err
		}
		return g.actOnOne(w, r, limiter, action)
	}
}

func (g *Gateway) actOnOne(w http.ResponseWriter, r *http.Request, limiter *ratelimit.Limiter, action string) error {
	body, err := readLimitRequest(w, r)
	if err != nil {
		return err
	}
	if err := body.only("one " + action); err != nil {
		return err
	}
	charge, err := body.charge(r.PathValue("type"), r.PathValue("identifier"))
	if err != nil {
		return err
	}
	switch action {
	case "increment", "check":
		return g.decide(w, r, limiter, action == "check", body.Reserve, body.ReservationID, charge)
	case "remaining":
		left, degraded, err := limiter.RemainingOf(r.Context(), charge)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, LimitRemaining{left, degraded})
		return nil
	default:
		if err := limiter.Reset(r.Context(), charge.Limit, charge.Identifier); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// actOnLimits answers the custom methods that concern several limits at once.
func (g *Gateway) actOnLimits(action string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		limiter, err := g.limiter()
		if err != nil {
			return err
		}
		body, err := readLimitRequest(w, r)
		if err != nil {
			return err
		}
		if err := body.only(action); err != nil {
			return err
		}
		if action == "settle" || action == "refund" {
			return settle(w, r, limiter, body, action == "refund")
		}
		charges, err := body.charges()
		if err != nil {
			return err
		}
		return g.decide(w, r, limiter, action == "check", body.Reserve, body.ReservationID, charges...)
	}
}

// decide charges, or only looks when check is set, and words the answer.
func (g *Gateway) decide(w http.ResponseWriter, r *http.Request, limiter *ratelimit.Limiter, check, reserve bool, id string, charges ...ratelimit.Charge) error {
	var results []ratelimit.Result
	var reservation *ratelimit.Reservation
	var err error
	switch {
	case check:
		results, err = limiter.Check(r.Context(), charges...)
	case reserve:
		var made ratelimit.Reservation
		made, results, err = limiter.Reserve(r.Context(), id, charges...)
		reservation = &made
	default:
		results, err = limiter.Take(r.Context(), charges...)
	}
	if err != nil {
		return err
	}
	answer := LimitResults{Success: ratelimit.Admitted(results), Reservation: reservation}
	for i, charge := range charges {
		answer.Results = append(answer.Results, limitResult(charge, results[i]))
	}
	setLimitHeaders(w.Header(), limiter, charges, results)
	if !answer.Success && !check {
		return tooMany(limiter, charges, answer)
	}
	if r.PathValue("identifier") != "" {
		writeJSON(w, http.StatusOK, LimitAnswer{answer.Results[0], reservation})
		return nil
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func settle(w http.ResponseWriter, r *http.Request, limiter *ratelimit.Limiter, body limitRequest, refund bool) error {
	if body.Reservation == nil || len(body.Reservation.Charges) > ratelimit.MaxItems {
		return invalid("reservation", "is required, as an increment with reserve returned it")
	}
	costs := []float64{0}
	if !refund {
		var err error
		if costs, err = body.costs(); err != nil {
			return err
		}
	}
	if err := limiter.Settle(r.Context(), *body.Reservation, costs...); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func limitResult(c ratelimit.Charge, result ratelimit.Result) LimitResult {
	answer := LimitResult{Result: result, Limit: c.Limit, Identifier: c.Identifier, Degraded: result.Degraded}
	if result.RetryAfter != ratelimit.Never {
		answer.RetryAfterSeconds = result.RetryAfter.Seconds()
	}
	return answer
}

// limitCalls charges a call that passed the guard to [ratelimit.APIRateLimit] of its caller, when [Options.LimitCalls] is
// set. An outage lets calls pass, within the guard's own bound.
func (g *Gateway) limitCalls(w http.ResponseWriter, r *http.Request) error {
	return g.limitCaller(w, r, ratelimit.APIRateLimit, g.caller(r))
}

// limitStrangers charges a call with a wrong key to [ratelimit.AuthRateLimit] of its address, so that keys cannot be
// guessed at any rate.
func (g *Gateway) limitStrangers(w http.ResponseWriter, r *http.Request) error {
	return g.limitCaller(w, r, ratelimit.AuthRateLimit, addressOf(r))
}

func (g *Gateway) limitCaller(w http.ResponseWriter, r *http.Request, limit, identifier string) error {
	if !g.LimitCalls {
		return nil
	}
	charges := []ratelimit.Charge{{Limit: limit, Identifier: identifier, N: 1}}
	results, err := g.Limits.Take(r.Context(), charges...)
	if err != nil {
		return err
	}
	setLimitHeaders(w.Header(), g.Limits, charges, results)
	if ratelimit.Admitted(results) {
		return nil
	}
	return tooMany(g.Limits, charges, LimitResults{Results: []LimitResult{limitResult(charges[0], results[0])}})
}
