package cloudrunfake

import (
	"context"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/proto"
)

// instancesServer serves instances: one container each with a URL, which runs until it is stopped.
type instancesServer struct {
	runpb.UnimplementedInstancesServer
	s *Server
}

// CreateInstance implements runpb.InstancesServer.
func (v instancesServer) CreateInstance(_ context.Context, req *runpb.CreateInstanceRequest) (*longrunningpb.Operation, error) {
	if err := checkLabels(req.GetInstance().GetLabels()); err != nil {
		return nil, err
	}
	container, err := containerOf(req.GetInstanceId(), req.GetInstance().GetContainers())
	if err != nil {
		return nil, err
	}
	return v.s.create(instanceKind, newEndpoint{
		parent: req.GetParent(), id: req.GetInstanceId(), resource: req.GetInstance(), validateOnly: req.GetValidateOnly(),
		container: container, public: req.GetInstance().GetInvokerIamDisabled(), keep: true,
	})
}

// GetInstance implements runpb.InstancesServer.
func (v instancesServer) GetInstance(_ context.Context, req *runpb.GetInstanceRequest) (*runpb.Instance, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	found, err := v.s.endpoint(instanceKind, req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(found.resource.(*runpb.Instance)), nil
}

// ListInstances implements runpb.InstancesServer.
func (v instancesServer) ListInstances(_ context.Context, req *runpb.ListInstancesRequest) (*runpb.ListInstancesResponse, error) {
	if err := v.s.checkParent(req.GetParent()); err != nil {
		return nil, err
	}
	items, next, err := page(v.s.Instances(), req.GetPageSize(), req.GetPageToken())
	return &runpb.ListInstancesResponse{Instances: items, NextPageToken: next}, err
}

// Instances lists the instances that there are, newest first.
func (s *Server) Instances() []*runpb.Instance { return list[*runpb.Instance](s) }

// StopInstance implements runpb.InstancesServer.
func (v instancesServer) StopInstance(_ context.Context, req *runpb.StopInstanceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.seen(instanceKind, req.GetName(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.done(found.resource), nil
	}
	state := found.state()
	found.stopped, *state.etag = true, s.etag()
	*state.condition = condition("Ready", runpb.Condition_CONDITION_FAILED, "The instance is stopped.")
	op := s.begin(found.resource)
	s.operate(0, func() {
		found.front.kill(true)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.finish(op.Name, found.resource, nil)
	})
	return op, nil
}

// StartInstance implements runpb.InstancesServer.
func (v instancesServer) StartInstance(_ context.Context, req *runpb.StartInstanceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.seen(instanceKind, req.GetName(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	if !found.stopped || req.GetValidateOnly() {
		return s.done(found.resource), nil
	}
	return s.deploy(found), nil
}

// DeleteInstance implements runpb.InstancesServer.
func (v instancesServer) DeleteInstance(_ context.Context, req *runpb.DeleteInstanceRequest) (*longrunningpb.Operation, error) {
	return v.s.remove(instanceKind, req.GetName(), req.GetEtag(), req.GetValidateOnly())
}
