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

// Reserve is Take for charges that will be settled. An empty id is replaced by a random one. When something rejects,
// the reservation is empty and settling it does nothing.
func (l *Limiter) Reserve(ctx context.Context, id string, charges ...Charge) (Reservation, []Result, error) {
	if len(id) > MaxReservationID {
		return Reservation{}, nil, fmt.Errorf("%w: id of the reservation is longer than %d bytes", ErrInvalid, MaxReservationID)
	}
	if id == "" {
		id = rand.Text()
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

// Settle corrects every charge of a reservation to what it really cost, in the bucket of the charge. A bucket never
// falls below 0. The first settlement of an id counts, later ones do nothing; after ErrUnavailable it can be tried
// again. ErrInvalid when the limit's bucket size is not that of the reservation any more.
func (l *Limiter) Settle(ctx context.Context, r Reservation, actual float64) error {
	if err := ValidateCharge(actual); err != nil {
		return err
	}
	var errs []error
	for _, c := range r.Charges {
		errs = append(errs, l.settle(ctx, r, c, actual))
	}
	return errors.Join(errs...)
}

// Refund takes the whole charge back: Settle with a cost of 0.
func (l *Limiter) Refund(ctx context.Context, r Reservation) error { return l.Settle(ctx, r, 0) }

func (l *Limiter) settle(ctx context.Context, r Reservation, c Reserved, actual float64) error {
	limit, err := l.limit(c.Limit, c.Config)
	switch {
	case err != nil:
		return err
	case c.Size != limit.rule.Size || c.Bucket < 0 || c.Bucket > lastMillis/c.Size:
		return fmt.Errorf("%w: the reservation's bucket is none of limit %s", ErrInvalid, c.Limit)
	case r.ID == "" || len(r.ID) > MaxReservationID:
		return fmt.Errorf("%w: id of the reservation must be 1 to %d bytes", ErrInvalid, MaxReservationID)
	}
	a := Adjustment{ID: r.ID, Key: Key(c.Limit, c.Identifier), Rule: limit.rule, Bucket: c.Bucket, Delta: actual - c.N}
	if err := errors.Join(ValidateKey(a.Key), ValidateKey(a.ID), ValidateCharge(c.N)); err != nil {
		return err
	}
	if r.Guard {
		return l.guard.Adjust(ctx, l.now(), a)
	}
	within, cancel := context.WithTimeout(ctx, l.deadline)
	defer cancel()
	err = l.backend.Adjust(within, l.now(), a)
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrInvalid) {
		return err
	}
	return unavailable(err)
}
