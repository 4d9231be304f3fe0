package firestoresession_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
)

// brittle is a stream that ends with an error after a few messages, and loses the message that it ends with.
type brittle struct {
	grpc.ClientStream
	left int
}

func (b *brittle) RecvMsg(into any) error {
	if b.left--; b.left < 0 {
		return status.Error(codes.Unavailable, "a fault of the test")
	}
	err := b.ClientStream.RecvMsg(into)
	if b.left == 0 && err == nil {
		return status.Error(codes.Internal, "a fault of the test")
	}
	return err
}

// TestAWatchMendsWhatBreaks breaks every stream sooner or later; the newest commit must come all the same, and the commits
// that come must rise.
func TestAWatchMendsWhatBreaks(t *testing.T) {
	t.Parallel()
	var opened, refused atomic.Int64
	w := &wire{stream: func(method string, next func() (grpc.ClientStream, error)) (grpc.ClientStream, error) {
		if method != "Listen" {
			return next()
		}
		n := int(opened.Add(1))
		if n%4 == 3 {
			refused.Add(1)
			return nil, status.Error(codes.Unavailable, "a fault of the test")
		}
		s, err := next()
		return &brittle{ClientStream: s, left: 2 + n}, err
	}}
	o := w.options(t)
	writer := open(t, firestoresession.Options{Endpoint: o.Endpoint, Project: o.Project})
	o.Logger = slog.New(slog.DiscardHandler)
	d := open(t, o)
	r := commit(t, writer, beginning("s", parts{session.PartState: []byte("1")}))
	seen := make(chan int64, 1000)
	done := errors.New("seen all")
	const last = 12
	var watching sync.WaitGroup
	watching.Go(func() {
		err := d.Watch(t.Context(), "s", nil, func(r *session.Record) error {
			if want := fmt.Sprint(r.Commit); string(r.Parts[session.PartState].Data) != want {
				t.Errorf("commit %d has the state %s", r.Commit, r.Parts[session.PartState].Data)
			}
			seen <- r.Commit
			if r.Commit == last {
				return done
			}
			return nil
		})
		if !errors.Is(err, done) {
			t.Errorf("watch: %v", err)
		}
	})
	was := int64(0)
	for r.Commit < last {
		for was < r.Commit { // each is the newest until it was seen
			n := <-seen
			if n <= was {
				t.Errorf("commit %d came after %d", n, was)
			}
			was = n
		}
		next := after(r, parts{session.PartState: fmt.Append(nil, r.Commit+1)})
		stored, err := writer.Commit(t.Context(), next)
		switch {
		case err == nil:
			r = stored
		case status.Code(err) == codes.Canceled: // the emulator, when it tells a stream that has just ended
			r = load(t, writer, "s")
		default:
			t.Fatal(err)
		}
	}
	watching.Wait()
	if opened.Load() < 3 || refused.Load() == 0 {
		t.Errorf("%d streams were opened and %d refused: the test tests nothing", opened.Load(), refused.Load())
	}
}

// TestAWatchReadsAgainWhatItCouldNot fails the calls that fetch chunks.
func TestAWatchReadsAgainWhatItCouldNot(t *testing.T) {
	t.Parallel()
	var failing atomic.Int64
	failing.Store(3)
	w := &wire{stream: func(method string, next func() (grpc.ClientStream, error)) (grpc.ClientStream, error) {
		if method == "BatchGetDocuments" && failing.Add(-1) >= 0 {
			return nil, status.Error(codes.Unavailable, "a fault of the test")
		}
		return next()
	}}
	o := w.options(t)
	o.Logger = slog.New(slog.DiscardHandler)
	d := open(t, o)
	r := commit(t, d, beginning("s", parts{session.PartState: noise(1, 2<<20)}))
	done := errors.New("seen")
	if err := d.Watch(t.Context(), "s", nil, func(got *session.Record) error {
		equal(t, "watched", r, got)
		return done
	}); !errors.Is(err, done) {
		t.Errorf("watch: %v", err)
	}
	if failing.Load() >= 0 {
		t.Error("no call failed: the test tests nothing")
	}
}

// TestManyWatchesShareConnections: a connection carries so many calls at a time and no more, and what is over waits behind
// streams that do not end.
func TestManyWatchesShareConnections(t *testing.T) {
	t.Parallel()
	o := (&wire{}).options(t)
	d := open(t, o)
	r := commit(t, d, beginning("s", nil))
	const watches = 2*firestoresession.WatchesPerConnection + 1
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all, first, second sync.WaitGroup
	first.Add(watches)
	second.Add(watches)
	for range watches {
		all.Go(func() {
			if err := d.Watch(ctx, "s", nil, func(r *session.Record) error {
				switch r.Commit {
				case 1:
					first.Done()
				case 2:
					second.Done()
				}
				return nil
			}); !errors.Is(err, context.Canceled) {
				t.Errorf("watch: %v", err)
			}
		})
	}
	first.Wait()
	if n := d.WatchConnections(); n != 3 {
		t.Errorf("%d watches have %d connections, want 3", watches, n)
	}
	commit(t, d, after(r, nil))
	second.Wait()
	stop()
	all.Wait()
	if n := d.WatchConnections(); n != 1 {
		t.Errorf("no watches have %d connections, want 1", n)
	}
}
