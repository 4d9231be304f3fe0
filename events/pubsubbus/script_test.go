package pubsubbus

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"vibesdk-gcp/events"
)

// script is a server that does exactly what a test says: neither the emulator nor pstest can send a message
// twice, break a stream or lose an answer on demand.
type script struct {
	pubsubpb.UnimplementedPublisherServer
	pubsubpb.UnimplementedSubscriberServer
	// onPublish and onAck are called before the request takes effect. An error is the answer.
	onPublish func(context.Context, *pubsubpb.PublishRequest) error
	onAck     func(context.Context) error
	responses chan *pubsubpb.StreamingPullResponse
	breaks    chan error

	mu        sync.Mutex
	news      chan struct{}
	published []*pubsubpb.PubsubMessage
	acked     []string
	nacked    []string
}

// startScript serves s and returns a driver that is connected to it.
func startScript(t *testing.T, s *script, o Options) *Driver {
	t.Helper()
	s.responses, s.breaks, s.news = make(chan *pubsubpb.StreamingPullResponse), make(chan error), make(chan struct{}, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pubsubpb.RegisterPublisherServer(server, s)
	pubsubpb.RegisterSubscriberServer(server, s)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	o.Project, o.Endpoint = "project", listener.Addr().String()
	d, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

func (s *script) Publish(ctx context.Context, req *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	if s.onPublish != nil {
		if err := s.onPublish(ctx, req); err != nil {
			return nil, err
		}
	}
	s.record(func() { s.published = append(s.published, req.GetMessages()...) })
	answer := &pubsubpb.PublishResponse{}
	for i := range req.GetMessages() {
		answer.MessageIds = append(answer.MessageIds, strconv.Itoa(i))
	}
	return answer, nil
}

func (s *script) StreamingPull(stream pubsubpb.Subscriber_StreamingPullServer) error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	}()
	for {
		select {
		case answer := <-s.responses:
			if err := stream.Send(answer); err != nil {
				return err
			}
		case err := <-s.breaks:
			return err
		case <-closed:
			return nil
		}
	}
}

func (s *script) Acknowledge(ctx context.Context, req *pubsubpb.AcknowledgeRequest) (*emptypb.Empty, error) {
	if s.onAck != nil {
		if err := s.onAck(ctx); err != nil {
			return nil, err
		}
	}
	s.record(func() { s.acked = append(s.acked, req.GetAckIds()...) })
	return &emptypb.Empty{}, nil
}

func (s *script) ModifyAckDeadline(_ context.Context, req *pubsubpb.ModifyAckDeadlineRequest) (*emptypb.Empty, error) {
	if req.GetAckDeadlineSeconds() == 0 {
		s.record(func() { s.nacked = append(s.nacked, req.GetAckIds()...) })
	}
	return &emptypb.Empty{}, nil
}

func (s *script) record(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// got returns what the server has seen so far, acknowledgements sorted, for they are sent in no order.
func (s *script) got() (published []*pubsubpb.PubsubMessage, acked, nacked []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acked, nacked = slices.Clone(s.acked), slices.Clone(s.nacked)
	slices.Sort(acked)
	slices.Sort(nacked)
	return slices.Clone(s.published), acked, nacked
}

// await waits until the server has seen what ok wants.
func (s *script) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.After(patience); !ok(); {
		select {
		case <-s.news:
		case <-deadline:
			published, acked, nacked := s.got()
			t.Fatalf("%s: not seen; published %v, acked %v, nacked %v", what, published, acked, nacked)
		}
	}
}

const patience = 30 * time.Second

// deliver sends messages to the one open stream. The ack id of a message is its id unless given otherwise.
func (s *script) deliver(t *testing.T, ordered bool, msgs ...*pubsubpb.ReceivedMessage) {
	t.Helper()
	answer := &pubsubpb.StreamingPullResponse{
		ReceivedMessages:       msgs,
		SubscriptionProperties: &pubsubpb.StreamingPullResponse_SubscriptionProperties{MessageOrderingEnabled: ordered},
	}
	select {
	case s.responses <- answer:
	case <-time.After(patience):
		t.Fatal("no stream takes the messages")
	}
}

func received(id, key string) *pubsubpb.ReceivedMessage {
	return &pubsubpb.ReceivedMessage{AckId: id, Message: &pubsubpb.PubsubMessage{MessageId: id, OrderingKey: key, Data: []byte("{}")}}
}

// subscription is one with enough room for any test that does not say otherwise.
func subscription(ordered bool) events.Subscription {
	return events.Subscription{
		Name: "sub", Topic: events.Topic{Name: "topic", Ordered: ordered},
		Concurrency: 4, MaxBatch: 1, MaxOutstanding: 100,
	}
}

// consumer runs Receive.
type consumer struct {
	stop    context.CancelFunc
	stopped chan error
}

func consume(d *Driver, sub events.Subscription, handle events.HandleFunc) *consumer {
	ctx, cancel := context.WithCancel(context.Background())
	c := &consumer{cancel, make(chan error, 1)}
	go func() { c.stopped <- d.Receive(ctx, sub, handle) }()
	return c
}

// awaitHeld waits until a message has come from the client, which tells nobody when it is not handled at once.
func awaitHeld(t *testing.T, d *Driver, id string) {
	t.Helper()
	holds := func() bool {
		d.running.mu.Lock()
		defer d.running.mu.Unlock()
		return slices.ContainsFunc(d.running.list["sub"], func(r *receiver) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.items[id] != nil
		})
	}
	for deadline := time.After(patience); !holds(); {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("%s has not come", id)
		}
	}
}

// wait gives the result of Receive.
func (c *consumer) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-c.stopped:
		return err
	case <-time.After(patience):
		t.Fatal("Receive does not return")
		return nil
	}
}

// signal waits for a channel to close or to give something.
func signal[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not seen", what)
		panic("unreachable")
	}
}

func done(run []events.Message) []events.Verdict {
	return slices.Repeat([]events.Verdict{{Done: true}}, len(run))
}
