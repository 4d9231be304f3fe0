package ratelimit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// lastMillis is the end of the year 9999: buckets beyond it would not fit into their arithmetic.
const lastMillis = 253_402_300_799_999

// MaxReservationID bounds the id of a reservation, in bytes.
const MaxReservationID = 128

// Reservation is a charge made before the cost was known. It may be written down (as JSON) and settled by
// another process, while its bucket lies within the limit's horizon.
type Reservation struct {
	ID      string     `json:"id"`
	Charges []Reserved `json:"charges"`
	// Guard says that the guard of one process holds the charge, which only that process can settle.
	Guard bool `json:"guard,omitempty"`
}

// Reserved is one charge of a [Reservation].
type Reserved struct {
	Limit      string  `json:"limit"`
	Identifier string  `json:"identifier"`
	N          float64 `json:"n"`
	// Bucket and Size, in milliseconds, name the bucket that holds it.
	Bucket int64 `json:"bucket"`
	Size   int64 `json:"size"`
	// Config is that of the charge, if it had its own.
	Config *Config `json:"config,omitempty"`
}

// Reserve is Take for charges that will be settled. An empty id is replaced by a random one; ErrInvalid for one that is longer than
// MaxReservationID, not UTF-8, or holds a control character. When something rejects, the reservation is empty and settling it does
// nothing.
func (l *Limiter) Reserve(ctx context.Context, id string, charges ...Charge) (Reservation, []Result, error) {
	if id == "" {
		id = rand.Text()
	}
	if err := ValidateReservationID(id); err != nil {
		return Reservation{}, nil, err
	}
	t, results, err := l.take(ctx, charges, false)
	r := Reservation{ID: id, Guard: t.degraded}
	if err != nil || !Admitted(results) {
		return r, results, err
	}
	for i, item := range t.items {
		r.Charges = append(r.Charges, Reserved{
			Limit: charges[i].Limit, Identifier: charges[i].Identifier, N: item.N,
			Bucket: item.Rule.Bucket(t.answers[i].Now), Size: item.Rule.Size, Config: charges[i].Config,
		})
	}
	return r, results, nil
}

// ValidateReservationID refuses ids that are empty, longer than MaxReservationID bytes, not UTF-8, or hold a control character.
func ValidateReservationID(id string) error {
	if id == "" || len(id) > MaxReservationID || !isText(id) {
		return fmt.Errorf("%w: id of the reservation must be 1 to %d bytes of UTF-8 without control characters", ErrInvalid, MaxReservationID)
	}
	return nil
}

// Settle corrects the charges of a reservation to what they really cost, each in the bucket of the charge: one cost for all of them, or as
// many costs as there are charges, in their order. A bucket never falls below 0. The first settlement of an id counts, later ones do
// nothing; after ErrUnavailable it can be tried again. ErrInvalid, and nothing is changed, for another number of costs, and when the
// bucket size of a limit is not that of the reservation any more.
func (l *Limiter) Settle(ctx context.Context, r Reservation, actual ...float64) error {
	if len(r.Charges) > MaxItems {
		return fmt.Errorf("%w: a reservation has at most %d charges", ErrInvalid, MaxItems)
	}
	if len(actual) != 1 && len(actual) != len(r.Charges) {
		return fmt.Errorf("%w: %d costs for %d charges: give one for all, or one for each", ErrInvalid, len(actual), len(r.Charges))
	}
	for _, n := range actual {
		if err := ValidateCharge(n); err != nil {
			return err
		}
	}
	adjustments := make([]Adjustment, len(r.Charges))
	for i, c := range r.Charges {
		var err error
		if adjustments[i], err = l.adjustment(r.ID, c, actual[min(i, len(actual)-1)]); err != nil {
			return err
		}
	}
	var errs []error
	for _, a := range adjustments {
		errs = append(errs, l.adjust(ctx, a, r.Guard))
	}
	return errors.Join(errs...)
}

// Refund takes the whole charge back: Settle with a cost of 0.
func (l *Limiter) Refund(ctx context.Context, r Reservation) error { return l.Settle(ctx, r, 0) }

// adjustment is what makes a charge one of the actual cost.
func (l *Limiter) adjustment(id string, c Reserved, actual float64) (Adjustment, error) {
	limit, err := l.limit(c.Limit, c.Config)
	switch {
	case err != nil:
		return Adjustment{}, err
	case c.Size != limit.rule.Size || c.Bucket < 0 || c.Bucket > lastMillis/c.Size:
		return Adjustment{}, fmt.Errorf("%w: the reservation's bucket is none of limit %s", ErrInvalid, c.Limit)
	}
	a := Adjustment{ID: id, Key: Key(c.Limit, c.Identifier), Rule: limit.rule, Bucket: c.Bucket, Delta: actual - c.N}
	return a, errors.Join(ValidateReservationID(id), ValidateKey(a.Key), ValidateCharge(c.N))
}

// adjust has the guard of this process or the backend apply an adjustment.
func (l *Limiter) adjust(ctx context.Context, a Adjustment, guard bool) error {
	if guard {
		return l.guard.Adjust(ctx, l.now(), a)
	}
	within, cancel := context.WithTimeout(ctx, l.deadline)
	defer cancel()
	err := l.backend.Adjust(within, l.now(), a)
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrInvalid) {
		return err
	}
	return unavailable(err)
}
