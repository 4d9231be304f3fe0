package pubsubbus

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/events"
)

var ordered = events.Topic{Name: "topic", Ordered: true}

func message(id string) events.Message { return events.Message{ID: id, Key: "k", Data: []byte(id)} }

func ids(msgs []*pubsubpb.PubsubMessage) string {
	var all []string
	for _, m := range msgs {
		all = append(all, m.GetAttributes()["ce-id"])
	}
	return strings.Join(all, " ")
}

// TestPublishGoesOnAfterAnError: the client alone would refuse the key for ever.
func TestPublishGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	s := &script{onPublish: func(_ context.Context, req *pubsubpb.PublishRequest) error {
		if ids(req.GetMessages()) == "bad" {
			return status.Error(codes.InvalidArgument, "breaks the schema")
		}
		return nil
	}}
	d := startScript(t, s, Options{})
	if err := d.Publish(t.Context(), ordered, []events.Message{message("bad")}); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("Publish: %v, want ErrInvalid", err)
	}
	if err := d.Publish(t.Context(), ordered, []events.Message{message("good")}); err != nil {
		t.Errorf("Publish after an error: %v", err)
	}
	if published, _, _ := s.got(); ids(published) != "good" {
		t.Errorf("published %s", ids(published))
	}
}

// TestErrorLetsNothingOvertake fails the first message of a call that needs several requests.
func TestErrorLetsNothingOvertake(t *testing.T) {
	t.Parallel()
	var once sync.Once
	s := &script{}
	s.onPublish = func(context.Context, *pubsubpb.PublishRequest) (err error) {
		once.Do(func() { err = status.Error(codes.PermissionDenied, "not yet") })
		return err
	}
	d := startScript(t, s, Options{})
	call := make([]events.Message, 250) // more than one request takes
	for i := range call {
		call[i] = message("m")
	}
	if err := d.Publish(t.Context(), ordered, call); status.Code(firstOf(err)) != codes.PermissionDenied {
		t.Errorf("Publish: %v, want PermissionDenied", err)
	}
	if published, _, _ := s.got(); len(published) != 0 {
		t.Errorf("%d messages overtook the one that failed", len(published))
	}
}

// firstOf unwraps the first of joined errors down to the cause.
func firstOf(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		err = joined.Unwrap()[0]
	}
	return errors.Unwrap(err)
}

// TestLatePublicationKeepsItsPlace ends the context of a call whose request is under way.
func TestLatePublicationKeepsItsPlace(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	s := &script{onPublish: func(_ context.Context, req *pubsubpb.PublishRequest) error {
		if ids(req.GetMessages()) == "late" {
			close(arrived)
			<-release
		}
		return nil
	}}
	d := startScript(t, s, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	late := message("late")
	returned := make(chan error, 1)
	go func() { returned <- d.Publish(ctx, ordered, []events.Message{late}) }()
	signal(t, "the request", arrived)
	cancel()
	if err := signal(t, "Publish", returned); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish: %v, want context.Canceled", err)
	}
	copy(late.Data, "????") // the caller's again

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.Publish(short, ordered, []events.Message{message("impatient")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish while the key is taken: %v, want DeadlineExceeded", err)
	}
	go func() { returned <- d.Publish(t.Context(), ordered, []events.Message{message("next")}) }()
	if err := d.Publish(t.Context(), ordered, []events.Message{{ID: "other", Key: "other"}}); err != nil {
		t.Errorf("Publish of another key: %v", err)
	}
	close(release)
	if err := signal(t, "Publish", returned); err != nil {
		t.Errorf("Publish after a late one: %v", err)
	}
	published, _, _ := s.got()
	if got := ids(published); got != "other late next" {
		t.Errorf("published %q, want other, late, next", got)
	}
	if got := string(published[1].GetData()); got != "late" {
		t.Errorf("late data is %q", got)
	}
}

func TestClosedDriver(t *testing.T) {
	t.Parallel()
	d := startScript(t, &script{}, Options{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Publish(t.Context(), ordered, []events.Message{message("m")}); !errors.Is(err, events.ErrClosed) {
		t.Errorf("Publish: %v, want ErrClosed", err)
	}
	if err := d.Receive(t.Context(), subscription(true), done); !errors.Is(err, events.ErrClosed) {
		t.Errorf("Receive: %v, want ErrClosed", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := New(t.Context(), Options{Lease: time.Second, HoldLimit: -1, MaxOutstandingBytes: -1})
	if !errors.Is(err, events.ErrInvalid) {
		t.Fatalf("New: %v, want ErrInvalid", err)
	}
	for _, want := range []string{"project is empty", "lease is 1s, it must be 10s to 10m0s", "hold limit is -1ns", "max outstanding bytes is -1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want also %q", err, want)
		}
	}
}
