package firestoresession_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session/firestoresession"
)

// wire sees every call of a driver to the service, and may answer in its place.
type wire struct {
	mu    sync.Mutex
	calls []string // names of methods
	sent  []*pb.CommitRequest
	// commit, when set, is called for each Commit, and calls next to let it through.
	commit func(ctx context.Context, request *pb.CommitRequest, next func() error) error
	// stream, when set, is called for each stream that opens.
	stream func(method string, next func() (grpc.ClientStream, error)) (grpc.ClientStream, error)
	// unbounded are methods that were called without a deadline.
	unbounded map[string]bool
}

func (w *wire) options(t testing.TB) firestoresession.Options {
	endpoint, project := testenv.Firestore(t)
	return firestoresession.Options{Endpoint: endpoint, Project: project}.With(
		grpc.WithUnaryInterceptor(w.unary), grpc.WithStreamInterceptor(w.streaming))
}

func (w *wire) unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	w.note(ctx, method, request)
	next := func() error { return invoke(ctx, method, request, reply, conn, options...) }
	if c, ok := request.(*pb.CommitRequest); ok && w.commit != nil {
		return w.commit(ctx, c, next)
	}
	return next()
}

func (w *wire) streaming(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	w.note(ctx, method, nil)
	next := func() (grpc.ClientStream, error) { return open(ctx, desc, conn, method, options...) }
	if w.stream != nil {
		return w.stream(base(method), next)
	}
	return next()
}

func (w *wire) note(ctx context.Context, method string, request any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, base(method))
	if c, ok := request.(*pb.CommitRequest); ok {
		w.sent = append(w.sent, c)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		if w.unbounded == nil {
			w.unbounded = map[string]bool{}
		}
		w.unbounded[base(method)] = true
	}
}

func base(method string) string { return method[strings.LastIndexByte(method, '/')+1:] }

// since returns the calls and commits since the last time.
func (w *wire) since() ([]string, []*pb.CommitRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls, sent := w.calls, w.sent
	w.calls, w.sent = nil, nil
	return calls, sent
}

func sizeOf(requests []*pb.CommitRequest) int {
	n := 0
	for _, r := range requests {
		n += proto.Size(r)
	}
	return n
}
