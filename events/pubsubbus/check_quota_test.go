package pubsubbus

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// crowd is a project with so many topics and subscriptions.
type crowd struct {
	pubsubpb.UnimplementedPublisherServer
	pubsubpb.UnimplementedSubscriberServer
	topics, subscriptions int
	err                   error
}

// page gives the end of a page from where a token begins.
func page(token string, size int32, all int) (from, to int, next string) {
	from, _ = strconv.Atoi(token) // none is 0
	if to = min(from+int(size), all); to < all {
		next = strconv.Itoa(to)
	}
	return from, to, next
}

func (c *crowd) ListTopics(_ context.Context, in *pubsubpb.ListTopicsRequest) (*pubsubpb.ListTopicsResponse, error) {
	from, to, next := page(in.GetPageToken(), in.GetPageSize(), c.topics)
	out := &pubsubpb.ListTopicsResponse{NextPageToken: next}
	for i := from; i < to; i++ {
		out.Topics = append(out.Topics, &pubsubpb.Topic{Name: fmt.Sprint(in.GetProject(), "/topics/t", i)})
	}
	return out, c.err
}

func (c *crowd) ListSubscriptions(_ context.Context, in *pubsubpb.ListSubscriptionsRequest) (*pubsubpb.ListSubscriptionsResponse, error) {
	from, to, next := page(in.GetPageToken(), in.GetPageSize(), c.subscriptions)
	out := &pubsubpb.ListSubscriptionsResponse{NextPageToken: next}
	for i := from; i < to; i++ {
		out.Subscriptions = append(out.Subscriptions, &pubsubpb.Subscription{Name: fmt.Sprint(in.GetProject(), "/subscriptions/s", i)})
	}
	return out, c.err
}

func TestCheckQuotas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		crowd crowd
		want  []string
	}{
		"much room": {crowd{topics: 7999}, []string{"ok: 7999 of 10000 are used", "ok: 0 of 10000 are used"}},
		"little":    {crowd{topics: 8000, subscriptions: 9500}, []string{"warn: 8000 of 10000 topics are used", "fail: 9500 of 10000 subscriptions are used"}},
		"forbidden": {crowd{err: status.Error(codes.PermissionDenied, "")}, []string{"skipped: roles/pubsub.viewer", "skipped: roles/pubsub.viewer"}},
		"broken":    {crowd{err: status.Error(codes.InvalidArgument, "odd")}, []string{"fail: odd", "fail: odd"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			pubsubpb.RegisterPublisherServer(server, &c.crowd)
			pubsubpb.RegisterSubscriberServer(server, &c.crowd)
			go func() { _ = server.Serve(listener) }() // ends with Stop
			t.Cleanup(server.Stop)
			d, err := New(t.Context(), Options{Project: "p", Endpoint: listener.Addr().String()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close() }) // nothing was published
			found := d.checkQuotas(t.Context())
			if len(found) != len(c.want) {
				t.Fatalf("%+v", found)
			}
			for i, f := range found {
				wanted, text, _ := strings.Cut(c.want[i], ": ")
				if string(f.Status) != wanted || !strings.Contains(f.Detail, text) || wanted == "warn" && f.Fix == "" {
					t.Errorf("%+v, want %s", f, c.want[i])
				}
			}
		})
	}
}
