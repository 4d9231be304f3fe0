package cloudrunfake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// keptOperations is how many operations are remembered.
const keptOperations = 10_000

type operationsServer struct {
	longrunningpb.UnimplementedOperationsServer
	s *Server
}

// begin records an operation whose metadata is the resource as it is now. The caller holds mu.
func (s *Server) begin(resource proto.Message) *longrunningpb.Operation {
	op := &longrunningpb.Operation{Name: fmt.Sprintf("%s/operations/op-%d", s.parent, s.next()), Metadata: pack(resource)}
	s.operations[op.Name] = op
	s.oldOps = append(s.oldOps, op.Name)
	if len(s.oldOps) > keptOperations {
		delete(s.operations, s.oldOps[0])
		s.oldOps = s.oldOps[1:]
	}
	return proto.CloneOf(op)
}

// finish marks an operation done. The caller holds mu.
func (s *Server) finish(name string, resource proto.Message, err error) {
	op := s.operations[name]
	if op == nil {
		return
	}
	op.Done, op.Metadata = true, pack(resource)
	if err != nil {
		op.Result = &longrunningpb.Operation_Error{Error: status.Convert(err).Proto()}
		return
	}
	op.Result = &longrunningpb.Operation_Response{Response: pack(resource)}
}

func pack(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil {
		panic(err) // only a message that cannot be encoded, and these came over the wire
	}
	return packed
}

// GetOperation implements longrunningpb.OperationsServer.
func (o operationsServer) GetOperation(_ context.Context, req *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if op := o.s.operations[req.GetName()]; op != nil {
		return proto.CloneOf(op), nil
	}
	return nil, notFound(req.GetName())
}

// WaitOperation implements longrunningpb.OperationsServer. It looks again until the operation is done or the time is over.
func (o operationsServer) WaitOperation(ctx context.Context, req *longrunningpb.WaitOperationRequest) (*longrunningpb.Operation, error) {
	if d := req.GetTimeout(); d != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.AsDuration())
		defer cancel()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		op, err := o.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: req.GetName()})
		if err != nil || op.GetDone() {
			return op, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return op, nil
		}
	}
}

// ListOperations implements longrunningpb.OperationsServer.
func (o operationsServer) ListOperations(_ context.Context, req *longrunningpb.ListOperationsRequest) (*longrunningpb.ListOperationsResponse, error) {
	if err := o.s.checkParent(strings.TrimSuffix(req.GetName(), "/operations")); err != nil {
		return nil, err
	}
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	var all []*longrunningpb.Operation
	for _, name := range slices.Backward(o.s.oldOps) {
		if op := o.s.operations[name]; op != nil {
			all = append(all, proto.CloneOf(op))
		}
	}
	items, next, err := page(all, req.GetPageSize(), req.GetPageToken())
	return &longrunningpb.ListOperationsResponse{Operations: items, NextPageToken: next}, err
}

// DeleteOperation implements longrunningpb.OperationsServer: it forgets an operation, which goes on.
func (o operationsServer) DeleteOperation(_ context.Context, req *longrunningpb.DeleteOperationRequest) (*emptypb.Empty, error) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if o.s.operations[req.GetName()] == nil {
		return nil, notFound(req.GetName())
	}
	delete(o.s.operations, req.GetName())
	return &emptypb.Empty{}, nil
}

// condition is the state of a resource. The type is "Ready" for what serves and "Completed" for executions.
func condition(kind string, state runpb.Condition_State, message string) *runpb.Condition {
	return &runpb.Condition{Type: kind, State: state, Message: message, LastTransitionTime: timestamppb.Now()}
}

func failure(kind, message string) (*runpb.Condition, error) {
	return condition(kind, runpb.Condition_CONDITION_FAILED, message), status.Error(codes.FailedPrecondition, message)
}
