package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Limits are the calls about rate limits.
type Limits struct{ c *Client }

// Limits returns the calls about rate limits.
func (c *Client) Limits() *Limits { return &Limits{c: c} }

// LimitCharge is one cost of one caller.
type LimitCharge struct {
	// Limit is the limit's name, Identifier who is charged: user:<id>, ip:<address>.
	Limit      string `json:"limit"`
	Identifier string `json:"identifier"`
	// N is the cost. 0 charges nothing and is still decided on; it may be negative. -1e9 to 1e9.
	N float64 `json:"n"`
	// Config, when set, counts instead of the configuration of that name, and the name need not be configured.
	Config *LimitConfig `json:"config,omitempty"`
}

// LimitConfig is one limit. Times are seconds, down to milliseconds; counts may be any fraction.
type LimitConfig struct {
	// Limit is how much a period admits. 0 admits nothing.
	Limit  float64 `json:"limit"`
	Period float64 `json:"period"`
	// Burst is how much BurstWindow, by default 60, admits. 0 is no such limit.
	Burst       float64  `json:"burst,omitempty"`
	BurstWindow *float64 `json:"burstWindow,omitempty"`
	// BucketSize is how exact windows are. Defaults to 10.
	BucketSize float64 `json:"bucketSize,omitempty"`
	// DailyLimit is how much 24 h admit; nil is no such limit.
	DailyLimit *float64 `json:"dailyLimit,omitempty"`
	// CalendarDaily lets the period begin at 00:00 UTC.
	CalendarDaily bool `json:"calendarDaily,omitempty"`
}

// Limit is a configured limit. OnFailure is open or closed: what it does while its backend is down.
type Limit struct {
	LimitConfig

	OnFailure string `json:"onFailure"`
}

// LimitResult answers a charge.
type LimitResult struct {
	Limit      string `json:"limit"`
	Identifier string `json:"identifier"`
	// Success is false when the charge was rejected.
	Success bool `json:"success"`
	// RemainingLimit is what is left after the charge, 0 when it was rejected.
	RemainingLimit float64 `json:"remainingLimit"`
	// ExceededLimit is main, burst or daily: what rejected. LimitValue and PeriodSeconds say what it admits.
	ExceededLimit string   `json:"exceededLimit,omitempty"`
	LimitValue    *float64 `json:"limitValue,omitempty"`
	PeriodSeconds *float64 `json:"periodSeconds,omitempty"`
	// RetryAfterSeconds is how long until the charge would be admitted. 0 for a rejected one when no waiting helps.
	RetryAfterSeconds float64 `json:"retryAfterSeconds,omitempty"`
	// Degraded says that the backend was down and the server decided by counts of its own.
	Degraded bool `json:"degraded,omitempty"`
}

// LimitResults answers several charges in their order. Either all were made or none.
type LimitResults struct {
	Success bool          `json:"success"`
	Results []LimitResult `json:"results"`
	// Reservation is set by [Limits.Reserve].
	Reservation *Reservation `json:"reservation,omitempty"`
}

// LimitRemaining is what a limit still admits.
type LimitRemaining struct {
	RemainingLimit float64 `json:"remainingLimit"`
	// Degraded is as in [LimitResult].
	Degraded bool `json:"degraded,omitempty"`
}

// Reservation is a charge to be settled, in the server's own form: keep it as it is.
type Reservation struct{ json.RawMessage }

// List returns the configured limits by name.
func (l *Limits) List(ctx context.Context) (map[string]Limit, error) {
	var out struct {
		Limits map[string]Limit `json:"limits"`
	}
	err := l.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "limits"}}, &out)
	return out.Limits, err
}

// Increment charges one limit. A rejection is no error. It is sent once: after an error of the connection the charge may
// have been made or not.
func (l *Limits) Increment(ctx context.Context, charge LimitCharge) (LimitResult, error) {
	out, err := l.Take(ctx, charge)
	return first(out), err
}

// Take charges all limits, at most 16, or none when one rejects. Otherwise it is like [Limits.Increment].
func (l *Limits) Take(ctx context.Context, charges ...LimitCharge) (LimitResults, error) {
	return l.take(ctx, "limits:increment", true, map[string]any{"charges": charges}, charges)
}

// Reserve is Take for costs that become known later: settle or refund the result's Reservation. id makes settling it
// several times the same as once across processes; an empty one is made up.
func (l *Limits) Reserve(ctx context.Context, id string, charges ...LimitCharge) (LimitResults, error) {
	body := map[string]any{"charges": charges, "reserve": true}
	if id != "" {
		body["reservationId"] = id
	}
	return l.take(ctx, "limits:increment", true, body, charges)
}

// Check decides like [Limits.Take] and charges nothing.
func (l *Limits) Check(ctx context.Context, charges ...LimitCharge) (LimitResults, error) {
	return l.take(ctx, "limits:check", false, map[string]any{"charges": charges}, charges)
}

// Remaining is what a limit still admits for the charge's identifier; its N does not matter.
func (l *Limits) Remaining(ctx context.Context, charge LimitCharge) (LimitRemaining, error) {
	body := map[string]any{}
	if charge.Config != nil {
		body["config"] = charge.Config
	}
	var out LimitRemaining
	err := l.one(ctx, charge.Limit, charge.Identifier, "remaining", body, &out)
	return out, err
}

// Reset forgets what was charged to a limit for exactly this identifier.
func (l *Limits) Reset(ctx context.Context, limit, identifier string) error {
	return l.one(ctx, limit, identifier, "reset", map[string]any{}, nil)
}

// Settle corrects the charges of a reservation to what they really cost: one cost for all of them, or as many as there are charges, in
// their order. Only the first settlement counts.
func (l *Limits) Settle(ctx context.Context, r Reservation, actual ...float64) error {
	body := map[string]any{"reservation": r.RawMessage, "actuals": actual}
	if len(actual) == 1 {
		body = map[string]any{"reservation": r.RawMessage, "actual": actual[0]}
	}
	return l.post(ctx, "limits:settle", body)
}

// Refund takes the charges of a reservation back.
func (l *Limits) Refund(ctx context.Context, r Reservation) error {
	return l.post(ctx, "limits:refund", map[string]any{"reservation": r.RawMessage})
}

func (l *Limits) post(ctx context.Context, path string, body any) error {
	return l.c.json(ctx, call{method: http.MethodPost, path: []string{"v1", path}, body: jsonBody(body)}, nil)
}

func (l *Limits) one(ctx context.Context, limit, identifier, verb string, body, out any) error {
	if limit == "" || identifier == "" {
		return fmt.Errorf("%w: limit and identifier are required", ErrInvalid)
	}
	return l.c.json(ctx, call{method: http.MethodPost, path: []string{"v1", "limits", limit, identifier + ":" + verb}, body: jsonBody(body)}, out)
}

func (l *Limits) take(ctx context.Context, path string, once bool, body any, charges []LimitCharge) (LimitResults, error) {
	var out LimitResults
	err := l.c.json(ctx, call{method: http.MethodPost, path: []string{"v1", path}, body: jsonBody(body), once: once}, &out)
	if e, ok := asError(err); ok && e.Status == http.StatusTooManyRequests && json.Unmarshal(e.body, &out) == nil && answers(out, charges) {
		return out, nil
	}
	return out, err
}

// answers reports whether results are those of the charges. A server that limits calls to itself rejects with a result of
// its own.
func answers(out LimitResults, charges []LimitCharge) bool {
	if len(out.Results) != len(charges) {
		return false
	}
	for i, r := range out.Results {
		if r.Limit != charges[i].Limit || r.Identifier != charges[i].Identifier {
			return false
		}
	}
	return true
}

func first(out LimitResults) LimitResult {
	if len(out.Results) == 0 {
		return LimitResult{}
	}
	return out.Results[0]
}
