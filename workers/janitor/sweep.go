package janitor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// pages calls fn with the records of a query, a page at a time, until there are no more or ctx ends.
func (j *Janitor) pages(ctx context.Context, q sandbox.Query, fn func([]sandbox.Record)) error {
	q.Limit = pageSize
	for {
		page, err := j.o.Records.List(ctx, q)
		if err != nil {
			return fmt.Errorf("list records after %q: %w", q.After, err)
		}
		fn(page)
		if len(page) < q.Limit {
			return nil
		}
		q.After = page[len(page)-1].ID
	}
}

// each calls fn for every item, some at once, and returns all errors together. When ctx ends it starts no more. A
// panic is the error of its item: it is out of reach of the bus, which would end the whole process.
func each[T any](ctx context.Context, items []T, fn func(T) error) error {
	var failed failures
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, item := range items {
		if ctx.Err() != nil {
			failed.add(fmt.Errorf("%d of %d items are left: %w", len(items)-i, len(items), context.Cause(ctx)))
			break
		}
		g.Go(func() error {
			defer func() {
				if p := recover(); p != nil {
					failed.add(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
				}
			}()
			failed.add(fn(item))
			return nil
		})
	}
	_ = g.Wait() // the errors are in failed
	return failed.err("")
}

// request makes a message for sandbox-requests.
func request(req *gen.SandboxRequest) (events.Message, error) {
	data, err := schemas.EncodeSandboxRequest(req)
	return events.Message{Data: data}, err
}

func (j *Janitor) publish(ctx context.Context, msgs []events.Message, dry bool) error {
	if len(msgs) == 0 || dry {
		return nil
	}
	if err := j.o.Publisher.Publish(ctx, events.SandboxRequests, msgs...); err != nil {
		return fmt.Errorf("publish %d requests: %w", len(msgs), err)
	}
	return nil
}

// maxFailures is how many errors of one sweep are told in full.
const maxFailures = 20

// failures collects errors. It is safe for concurrent use.
type failures struct {
	mu   sync.Mutex
	errs []error
	more int
}

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) == maxFailures {
		f.more++
		return
	}
	f.errs = append(f.errs, err)
}

func (f *failures) err(of string) error {
	if len(f.errs) == 0 {
		return nil
	}
	if f.more > 0 {
		f.errs = append(f.errs, fmt.Errorf("and %d more", f.more))
	}
	if of == "" {
		return errors.Join(f.errs...)
	}
	return fmt.Errorf("%s: %w", of, errors.Join(f.errs...))
}
