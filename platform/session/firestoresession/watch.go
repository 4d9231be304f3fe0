package firestoresession

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/cenkalti/backoff/v4"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/platform/session"
)

// Watch implements [session.Driver].
func (d *Driver) Watch(ctx context.Context, id string, known *session.Record, fn func(*session.Record) error) error {
	inner, cancel := context.WithCancel(ctx)
	news := make(mailbox, 1)
	var listening sync.WaitGroup
	listening.Go(func() { d.listen(inner, id, news) })
	defer listening.Wait()
	defer cancel()

	seen := newSight(known)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case doc := <-news:
			if !seen.news(doc) {
				continue
			}
			r, err := d.see(ctx, id, doc, seen.last)
			switch {
			case errors.Is(err, session.ErrNotFound):
				seen = sight{} // removed since; if it is begun again, the stream tells
			case err != nil:
				return err
			default:
				seen.record(r)
				if err := fn(r); err != nil {
					return err
				}
			}
		}
	}
}

// see makes a record of a document that the stream brought, or loads it when it has chunks to fetch. Failing calls are
// repeated until ctx ends; what cannot be decoded fails.
func (d *Driver) see(ctx context.Context, id string, doc *pb.Document, last *session.Record) (*session.Record, error) {
	for wait := newBackoff(); ; {
		r, err := d.seeOnce(ctx, id, doc, last)
		if err == nil || errors.Is(err, session.ErrNotFound) {
			return r, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, ofCall := status.FromError(err); !ofCall && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		d.o.Logger.WarnContext(ctx, "a watched session could not be read, trying again", "session_id", id, "error", err)
		if err := sleep(ctx, wait.NextBackOff()); err != nil {
			return nil, err
		}
	}
}

func (d *Driver) seeOnce(ctx context.Context, id string, doc *pb.Document, last *session.Record) (*session.Record, error) {
	for name, p := range layoutFrom(doc).Parts {
		if p.Chunks > 0 && (last == nil || last.Parts[name].Tag != p.Tag) {
			return d.Load(ctx, id, last)
		}
	}
	r, err := d.decode(ctx, id, doc, last, nil)
	return r, wrap(ctx, "watch", id, err)
}

// sight is what a watch has seen last. A record that is removed and begun again counts from one, so that only the
// update time tells what is newer.
type sight struct {
	last    *session.Record
	updated [2]int64
	commit  int64 // until updated is known
}

func newSight(known *session.Record) sight {
	if known == nil {
		return sight{}
	}
	if l, ok := layoutOf(known); ok {
		return sight{last: known, updated: l.Updated}
	}
	return sight{commit: known.Commit}
}

// news reports whether a document is worth a look. Nil is one that does not exist.
func (s *sight) news(doc *pb.Document) bool {
	if doc == nil {
		*s = sight{}
		return false
	}
	l := layoutFrom(doc)
	if s.commit > 0 && l.Commit == s.commit {
		*s = sight{updated: l.Updated}
		return false
	}
	return slices.Compare(l.Updated[:], s.updated[:]) > 0
}

// record notes a record, which is at least as new as the document that was news.
func (s *sight) record(r *session.Record) {
	l, _ := layoutOf(r)
	*s = sight{last: r, updated: l.Updated}
}

// mailbox holds the newest document of a stream that has one writer. The reader may be slow, and gets no other.
type mailbox chan *pb.Document

func (m mailbox) put(doc *pb.Document) {
	select {
	case <-m:
	default:
	}
	m <- doc
}

func newBackoff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(30*time.Second), backoff.WithMaxElapsedTime(0))
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
