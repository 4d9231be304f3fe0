package cloudrunsandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/platform/sandbox"
)

// Errors of Cloud Run's calls within the driver.
var (
	errAbsent  = errors.New("no such resource")
	errTaken   = errors.New("the name is taken")
	errChanged = errors.New("the resource was changed meanwhile")
	// errUnsure goes with ErrUnavailable: whether the call had an effect is not known.
	errUnsure = errors.New("the outcome is not known")
	// errRefused goes with ErrUnavailable: the call had no effect.
	errRefused = errors.New("refused by Cloud Run")
)

// translate turns what a call of Cloud Run returned into the driver's errors and the port's. What only an operator can mend,
// such as a missing job or right, is ErrUnavailable too: it is no fault of the app, and asking again later is right.
func (d *Driver) translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil { // the caller's own end, not that of one attempt
		return fmt.Errorf("%w: %w", errUnsure, context.Cause(ctx))
	}
	says := status.Convert(err).Message()
	switch code := status.Code(err); code {
	case codes.NotFound:
		return fmt.Errorf("%w: %s", errAbsent, says)
	case codes.AlreadyExists:
		return fmt.Errorf("%w: %s", errTaken, says)
	case codes.Aborted:
		return fmt.Errorf("%w: %w: %s", sandbox.ErrUnavailable, errChanged, says)
	case codes.ResourceExhausted:
		d.refusals.count(ctx, "quota")
		return fmt.Errorf("%w: %w: Cloud Run: %s", sandbox.ErrUnavailable, sandbox.ErrQuota, says)
	case codes.InvalidArgument:
		return fmt.Errorf("%w: Cloud Run does not take it: %s", sandbox.ErrInvalid, says)
	case codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition, codes.Unimplemented, codes.OutOfRange:
		d.refusals.count(ctx, "permission")
		return fmt.Errorf("%w: %w: %s: %s", sandbox.ErrUnavailable, errRefused, code, says)
	default: // Unavailable, DeadlineExceeded, Internal, Unknown, Canceled and what is no status
		return fmt.Errorf("%w: %w: %s: %s", sandbox.ErrUnavailable, errUnsure, code, says)
	}
}

// passing reports an error that may be gone when the same call is made again. After errChanged another one must be made: the etag that
// was given will not be the present one again.
func passing(err error) bool { return errors.Is(err, errUnsure) }

// throttled is the error of a call that has no turn before ctx ends.
func (d *Driver) throttled(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case over(ctx):
		return context.DeadlineExceeded
	}
	d.refusals.count(ctx, "rate")
	return fmt.Errorf("%w: too many calls of Cloud Run: %w", sandbox.ErrUnavailable, err)
}

// translateStore is translate for the store.
func translateStore(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("%w: storage: %w", sandbox.ErrUnavailable, err)
	}
}
