package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"vibesdk-gcp/platform/ratelimit"
)

// maxLimitBody bounds the body of a call about limits: MaxItems charges with keys and configurations fit well.
const maxLimitBody = 64 << 10

// chargeRule says what a cost must be.
var chargeRule = fmt.Sprintf("must be -%g to %g", float64(ratelimit.MaxCount), float64(ratelimit.MaxCount))

// limitRequest is the body of every call about limits; limitFields says which method takes what.
type limitRequest struct {
	// N is the cost; absent means 1.
	N *float64 `json:"n,omitempty"`
	// Config counts instead of the configured one.
	Config *ratelimit.Config `json:"config,omitempty"`
	// Charges are for several at once.
	Charges []limitCharge `json:"charges,omitempty"`
	// Reserve returns a reservation to be settled, under ReservationID when that is given.
	Reserve       bool   `json:"reserve,omitempty"`
	ReservationID string `json:"reservationId,omitempty"`
	// Reservation is for a settlement, with Actual for one cost of all its charges or Actuals for the cost of each.
	Reservation *ratelimit.Reservation `json:"reservation,omitempty"`
	Actual      *float64               `json:"actual,omitempty"`
	Actuals     []float64              `json:"actuals,omitempty"`
}

type limitCharge struct {
	Limit      string            `json:"limit"`
	Identifier string            `json:"identifier"`
	N          *float64          `json:"n,omitempty"`
	Config     *ratelimit.Config `json:"config,omitempty"`
}

// readLimitRequest reads a body, which may be empty.
func readLimitRequest(w http.ResponseWriter, r *http.Request) (limitRequest, error) {
	var request limitRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLimitBody))
	if err != nil {
		return request, readError(err)
	}
	return request, decodeLimitRequest(body, &request)
}

func decodeLimitRequest(body []byte, into *limitRequest) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return invalid(wrong.Field, "must be a %s in range", kindName(wrong.Type.String()))
	}
	if err == nil && dec.More() {
		err = errors.New("more than one value")
	}
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid(strings.Trim(name, `"`), "is unknown")
	}
	if field := brokenField(body); field != "" {
		return invalid(field, "is no JSON: %s", err)
	}
	return badRequest("the body must be a JSON object like {\"n\":1}: " + err.Error())
}

// kindName words a Go type for people who send JSON.
func kindName(goType string) string {
	switch goType {
	case "float64", "int64":
		return "number"
	case "bool":
		return "boolean"
	case "string":
		return "string"
	}
	return "value of its kind"
}

// limitFields lists what the body of each method may have.
var limitFields = map[string][]string{
	"one increment": {"n", "config", "reserve", "reservationId"}, "one check": {"n", "config"},
	"one remaining": {"n", "config"}, "one reset": {"n", "config"}, // one body may serve all four
	"increment": {"charges", "reserve", "reservationId"}, "check": {"charges"},
	"settle": {"reservation", "actual", "actuals"}, "refund": {"reservation"},
}

// only refuses fields that have no meaning for a method.
func (b limitRequest) only(method string) error {
	for _, field := range [...]struct {
		name  string
		given bool
	}{
		{"actual", b.Actual != nil},
		{"actuals", b.Actuals != nil},
		{"charges", b.Charges != nil},
		{"config", b.Config != nil},
		{"n", b.N != nil},
		{"reservation", b.Reservation != nil},
		{"reservationId", b.ReservationID != ""},
		{"reserve", b.Reserve},
	} {
		if field.given && !slices.Contains(limitFields[method], field.name) {
			return invalid(field.name, "has no meaning here; the body may have %s", strings.Join(limitFields[method], ", "))
		}
	}
	switch {
	case b.ReservationID == "":
	case !b.Reserve:
		return invalid("reservationId", "needs reserve to be true")
	case ratelimit.ValidateReservationID(b.ReservationID) != nil:
		return invalid("reservationId", "must be 1 to %d bytes of UTF-8 without control characters", ratelimit.MaxReservationID)
	}
	return nil
}

// costs are what the charges of the reservation came to.
func (b limitRequest) costs() ([]float64, error) {
	switch {
	case b.Actual == nil && b.Actuals == nil:
		return nil, invalid("actual", "is required, or actuals with the cost of each charge")
	case b.Actual != nil && b.Actuals != nil:
		return nil, invalid("actuals", "has no meaning beside actual")
	case b.Actual != nil && ratelimit.ValidateCharge(*b.Actual) != nil:
		return nil, invalid("actual", "%s", chargeRule)
	case b.Actual != nil:
		return []float64{*b.Actual}, nil
	case len(b.Actuals) != len(b.Reservation.Charges):
		return nil, invalid("actuals", "has %d costs for %d charges", len(b.Actuals), len(b.Reservation.Charges))
	}
	for i, n := range b.Actuals {
		if ratelimit.ValidateCharge(n) != nil {
			return nil, invalid(fmt.Sprintf("actuals[%d]", i), "%s", chargeRule)
		}
	}
	return b.Actuals, nil
}

func (b limitRequest) charge(limit, identifier string) (ratelimit.Charge, error) {
	return limitCharge{limit, identifier, b.N, b.Config}.charge("")
}

func (b limitRequest) charges() ([]ratelimit.Charge, error) {
	if len(b.Charges) == 0 || len(b.Charges) > ratelimit.MaxItems {
		return nil, invalid("charges", "must be 1 to %d", ratelimit.MaxItems)
	}
	charges := make([]ratelimit.Charge, len(b.Charges))
	for i, c := range b.Charges {
		var err error
		if charges[i], err = c.charge(fmt.Sprintf("charges[%d].", i)); err != nil {
			return nil, err
		}
		for j, other := range b.Charges[:i] {
			if other.Limit == c.Limit && other.Identifier == c.Identifier {
				return nil, invalid(fmt.Sprintf("charges[%d]", i), "charges the same key as charges[%d]: add the costs up", j)
			}
		}
	}
	return charges, nil
}

// charge checks what the port would refuse without a name for the field.
func (c limitCharge) charge(prefix string) (ratelimit.Charge, error) {
	charge := ratelimit.Charge{Limit: c.Limit, Identifier: c.Identifier, N: 1, Config: c.Config}
	if c.N != nil {
		charge.N = *c.N
	}
	most := ratelimit.MaxKey - len(ratelimit.Key(c.Limit, ""))
	switch {
	case c.Limit == "":
		return charge, invalid(prefix+"limit", "is required")
	case !ratelimit.ValidName(c.Limit):
		return charge, invalid(prefix+"limit", "%s", ratelimit.NameRule)
	case c.Identifier == "":
		return charge, invalid(prefix+"identifier", "is required")
	case len(c.Identifier) > most:
		return charge, invalid(prefix+"identifier", "is %d bytes long, the limit is %d", len(c.Identifier), most)
	case !utf8.ValidString(c.Identifier) || strings.ContainsFunc(c.Identifier, unicode.IsControl):
		return charge, invalid(prefix+"identifier", "must be UTF-8 text without control characters")
	case ratelimit.ValidateCharge(charge.N) != nil:
		return charge, invalid(prefix+"n", "%s", chargeRule)
	}
	if c.Config != nil {
		if wrong, ok := errors.AsType[*ratelimit.FieldError](c.Config.Validate()); ok {
			return charge, invalid(prefix+"config."+wrong.Field, "%s", wrong.Message)
		}
	}
	return charge, nil
}
