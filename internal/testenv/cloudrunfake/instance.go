package cloudrunfake

import (
	"context"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// instance is one container with a URL, which runs until it is stopped.
type instance struct {
	*runpb.Instance
	front   *front
	stopped bool
}

type instancesServer struct {
	runpb.UnimplementedInstancesServer
	s *Server
}

// CreateInstance implements runpb.InstancesServer.
func (v instancesServer) CreateInstance(_ context.Context, req *runpb.CreateInstanceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	if err := s.checkParent(req.GetParent()); err != nil {
		return nil, err
	}
	if err := checkID("instance_id", req.GetInstanceId(), 50); err != nil {
		return nil, err
	}
	if err := checkLabels(req.GetInstance().GetLabels()); err != nil {
		return nil, err
	}
	container, err := containerOf(req.GetInstanceId(), req.GetInstance().GetContainers())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.parent + "/instances/" + req.GetInstanceId()
	if s.taken(req.GetInstanceId()) {
		return nil, exists(name)
	}
	if len(s.instances) >= s.o.Quotas.Instances {
		return nil, exhausted("Instances", s.o.Quotas.Instances)
	}
	made := &instance{Instance: proto.CloneOf(req.GetInstance())}
	if req.GetValidateOnly() {
		return s.done(made.Instance), nil
	}
	made.Name, made.Uid, made.Generation, made.CreateTime = name, uuid.NewString(), 1, timestamppb.Now()
	if made.front, err = newFront(s, container, made.GetInvokerIamDisabled(), true); err != nil {
		return nil, err
	}
	made.Urls = []string{made.front.url()}
	s.instances[req.GetInstanceId()] = made
	return s.launch(made), nil
}

// launch starts the container and says in the instance how that went. The caller holds mu.
func (s *Server) launch(v *instance) *longrunningpb.Operation {
	v.stopped = false
	v.Reconciling, v.UpdateTime, v.Etag = true, timestamppb.Now(), s.etag()
	v.TerminalCondition = condition("Ready", runpb.Condition_CONDITION_RECONCILING, "Starting the instance.")
	op := s.begin(v.Instance)
	s.later(s.o.OperationLatency+s.o.StartLatency, func() {
		a := v.front.start()
		<-a.ready
		s.mu.Lock()
		defer s.mu.Unlock()
		if v.stopped || v.DeleteTime != nil {
			s.finish(op.Name, v.Instance, nil)
			return
		}
		var err error
		v.TerminalCondition = condition("Ready", runpb.Condition_CONDITION_SUCCEEDED, "")
		if a.err != nil {
			v.TerminalCondition, err = failure("Ready", "Instance is not ready and cannot serve traffic. "+a.err.Error())
		}
		v.Reconciling, v.ObservedGeneration, v.UpdateTime, v.Etag = false, v.Generation, timestamppb.Now(), s.etag()
		s.finish(op.Name, v.Instance, err)
	})
	return op
}

func (s *Server) instance(name string) (string, *instance, error) {
	id, err := s.id(name, "instances")
	if err != nil {
		return "", nil, err
	}
	if s.instances[id] == nil {
		return "", nil, notFound(name)
	}
	return id, s.instances[id], nil
}

// GetInstance implements runpb.InstancesServer.
func (v instancesServer) GetInstance(_ context.Context, req *runpb.GetInstanceRequest) (*runpb.Instance, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	_, found, err := v.s.instance(req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(found.Instance), nil
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
func (s *Server) Instances() []*runpb.Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*runpb.Instance
	for _, v := range s.instances {
		all = append(all, proto.CloneOf(v.Instance))
	}
	return newestFirst(all)
}

// StopInstance implements runpb.InstancesServer.
func (v instancesServer) StopInstance(_ context.Context, req *runpb.StopInstanceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found, err := s.instance(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), found.GetEtag(), found.GetName()); err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.done(found.Instance), nil
	}
	found.stopped, found.Etag = true, s.etag()
	found.TerminalCondition = condition("Ready", runpb.Condition_CONDITION_FAILED, "The instance is stopped.")
	op := s.begin(found.Instance)
	s.later(s.o.OperationLatency, func() {
		found.front.kill(true)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.finish(op.Name, found.Instance, nil)
	})
	return op, nil
}

// StartInstance implements runpb.InstancesServer.
func (v instancesServer) StartInstance(_ context.Context, req *runpb.StartInstanceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found, err := s.instance(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), found.GetEtag(), found.GetName()); err != nil {
		return nil, err
	}
	if !found.stopped || req.GetValidateOnly() {
		return s.done(found.Instance), nil
	}
	return s.launch(found), nil
}

// DeleteInstance implements runpb.InstancesServer.
func (v instancesServer) DeleteInstance(_ context.Context, req *runpb.DeleteInstanceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	id, found, err := s.instance(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), found.GetEtag(), found.GetName()); err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.done(found.Instance), nil
	}
	op := s.begin(found.Instance)
	if found.DeleteTime == nil {
		found.DeleteTime, found.Etag = timestamppb.Now(), s.etag()
	}
	s.later(s.o.OperationLatency, func() {
		found.front.end()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.instances[id] == found {
			delete(s.instances, id)
		}
		s.finish(op.Name, found.Instance, nil)
	})
	return op, nil
}
