package firestoresession_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
)

// TestEveryMutationIsAppliedOnceHoweverCommitsFail has two processes append to one session while two commits of
// three end in an error, before they were sent or after they were done.
func TestEveryMutationIsAppliedOnceHoweverCommitsFail(t *testing.T) {
	t.Parallel()
	faults := []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.ResourceExhausted, codes.Unknown}
	var calls, lost, unheard atomic.Int64
	w := &wire{commit: func(_ context.Context, _ *pb.CommitRequest, next func() error) error {
		n := calls.Add(1)
		fault := status.Error(faults[int(n/3)%len(faults)], "a fault of the test")
		switch n % 3 {
		case 1:
			lost.Add(1)
			return fault
		case 2:
			if err := next(); err != nil {
				return err
			}
			unheard.Add(1)
			return fault
		default:
			return next()
		}
	}}
	options := w.options(t)
	options.Logger = slog.New(slog.DiscardHandler)
	const writers, each = 6, 10
	var group sync.WaitGroup
	stores := []*session.Store{
		session.NewStore(open(t, options), session.Options{Logger: options.Logger}),
		session.NewStore(open(t, options), session.Options{Logger: options.Logger}),
	}
	for i := range writers {
		group.Go(func() {
			for n := range each {
				m := session.Mutation{
					ID: fmt.Sprintf("m-%d-%d", i, n), Kind: session.Append, Part: session.PartFullConversations,
					Payload: fmt.Append(nil, i*each+n),
				}
				outcomes, err := stores[i%len(stores)].Apply(t.Context(), "hot", []session.Mutation{m})
				if err != nil || outcomes[0].Code != session.Applied {
					t.Errorf("apply %s: %+v, %v", m.ID, outcomes, err)
				}
			}
		})
	}
	group.Wait()
	r := load(t, open(t, options), "hot")
	var got []int
	if err := json.Unmarshal(r.Parts[session.PartFullConversations].Data, &got); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	for i := range max(len(got), writers*each) {
		if i >= len(got) || got[i] != i {
			t.Fatalf("applied %v, want each of %d once", got, writers*each)
		}
	}
	if r.Version != writers*each {
		t.Errorf("version %d after %d mutations", r.Version, writers*each)
	}
	if lost.Load() == 0 || unheard.Load() == 0 {
		t.Errorf("%d commits lost and %d unheard: the test tests nothing", lost.Load(), unheard.Load())
	}
}

// TestACommitIsSentOnce: a second try could be refused because of the first, which would then look as if it had not
// happened.
func TestACommitIsSentOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.Internal, codes.DeadlineExceeded} {
		var calls atomic.Int64
		w := &wire{commit: func(context.Context, *pb.CommitRequest, func() error) error {
			calls.Add(1)
			return status.Error(code, "a fault of the test")
		}}
		d := open(t, w.options(t))
		_, err := d.Commit(t.Context(), beginning("s", map[session.PartName][]byte{session.PartState: []byte("1")}))
		if status.Code(err) != code {
			t.Errorf("%v became %v", code, err)
		}
		if calls.Load() != 1 {
			t.Errorf("%v: the commit was sent %d times", code, calls.Load())
		}
	}
}

func TestEveryCallHasADeadline(t *testing.T) {
	t.Parallel()
	w := &wire{}
	d := open(t, w.options(t))
	r := commit(t, d, beginning("s", map[session.PartName][]byte{session.PartState: noise(1, 3<<20)}))
	load(t, d, "s")
	if _, err := d.List(t.Context(), session.Query{Limit: 10}); err != nil {
		t.Error(err)
	}
	if _, err := d.Clean(t.Context(), epoch, 10); err != nil {
		t.Error(err)
	}
	if err := d.Remove(t.Context(), "s", r.Commit); err != nil {
		t.Error(err)
	}
	calls, _ := w.since()
	for _, method := range []string{"Commit", "BatchGetDocuments", "RunQuery"} {
		if !slices.Contains(calls, method) {
			t.Errorf("%s was not called", method)
		}
	}
	if len(w.unbounded) > 0 {
		t.Errorf("called without a deadline: %v", w.unbounded)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]firestoresession.Options{
		"project is empty":           {},
		"timeout is -1ns":            {Project: "p", Timeout: -1},
		"connections is -1":          {Project: "p", Connections: -1},
		`prefix "a/" cannot be the`:  {Project: "p", Prefix: "a/"},
		"connections is 1001, it mu": {Project: "p", Connections: 1001},
	} {
		if _, err := firestoresession.New(t.Context(), o); !errors.Is(err, session.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
