package cloudrunfake

import (
	"context"
	"slices"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// service is a resource with a URL.
type service struct {
	*runpb.Service
	front *front
}

type servicesServer struct {
	runpb.UnimplementedServicesServer
	s *Server
}

func checkService(v *runpb.Service) (Container, error) {
	switch {
	case v.GetTemplate() == nil:
		return Container{}, invalid("template: is required")
	case len(v.GetDescription()) > 512:
		return Container{}, invalid("description: at most 512 characters")
	case v.GetTemplate().GetScaling().GetMinInstanceCount() > max(v.GetTemplate().GetScaling().GetMaxInstanceCount(), 0) && v.GetTemplate().GetScaling().GetMaxInstanceCount() > 0:
		return Container{}, invalid("template.scaling: min_instance_count is larger than max_instance_count")
	}
	for _, labels := range []map[string]string{v.GetLabels(), v.GetTemplate().GetLabels()} {
		if err := checkLabels(labels); err != nil {
			return Container{}, err
		}
	}
	return containerOf("", v.GetTemplate().GetContainers())
}

// taken reports a name that a service or an instance has. The caller holds mu.
func (s *Server) taken(id string) bool { return s.services[id] != nil || s.instances[id] != nil }

// CreateService implements runpb.ServicesServer.
func (v servicesServer) CreateService(_ context.Context, req *runpb.CreateServiceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	if err := s.checkParent(req.GetParent()); err != nil {
		return nil, err
	}
	if err := checkID("service_id", req.GetServiceId(), 50); err != nil {
		return nil, err
	}
	container, err := checkService(req.GetService())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.parent + "/services/" + req.GetServiceId()
	if s.taken(req.GetServiceId()) {
		return nil, exists(name)
	}
	if len(s.services) >= s.o.Quotas.Services {
		return nil, exhausted("Services", s.o.Quotas.Services)
	}
	made := &service{Service: proto.CloneOf(req.GetService())}
	if req.GetValidateOnly() {
		return s.done(made.Service), nil
	}
	made.Name, made.Uid, made.Generation, made.CreateTime = name, uuid.NewString(), 1, timestamppb.Now()
	if made.front, err = s.front(req.GetServiceId(), container, made.Service); err != nil {
		return nil, err
	}
	made.Uri = made.front.url()
	made.Urls = []string{made.Uri}
	s.services[req.GetServiceId()] = made
	s.peak = max(s.peak, len(s.services))
	return s.deploy(made), nil
}

func (s *Server) front(id string, c Container, v *runpb.Service) (*front, error) {
	c.Resource = id
	c.Env["K_SERVICE"], c.Env["K_CONFIGURATION"], c.Env["K_REVISION"] = id, id, id+"-00001"
	keep := max(v.GetTemplate().GetScaling().GetMinInstanceCount(), v.GetScaling().GetMinInstanceCount()) > 0
	return newFront(s, c, v.GetInvokerIamDisabled(), keep)
}

// deploy starts the first instance of a revision and says in the service how that went. The caller holds mu.
func (s *Server) deploy(v *service) *longrunningpb.Operation {
	v.Reconciling, v.UpdateTime, v.Etag = true, timestamppb.Now(), s.etag()
	v.TerminalCondition = condition("Ready", runpb.Condition_CONDITION_RECONCILING, "Deploying Revision.")
	op := s.begin(v.Service)
	front, generation := v.front, v.Generation
	s.later(s.o.OperationLatency+s.o.StartLatency, func() {
		a := front.start()
		<-a.ready
		front.enter() // begins the time of idleness
		front.leave()
		s.mu.Lock()
		defer s.mu.Unlock()
		if v.Generation != generation || v.DeleteTime != nil {
			s.finish(op.Name, v.Service, nil)
			return
		}
		var err error
		v.TerminalCondition = condition("Ready", runpb.Condition_CONDITION_SUCCEEDED, "")
		if a.err != nil {
			v.TerminalCondition, err = failure("Ready", "Revision is not ready and cannot serve traffic. "+a.err.Error())
			v.TerminalCondition.Reasons = &runpb.Condition_RevisionReason_{RevisionReason: runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR}
		}
		v.Reconciling, v.ObservedGeneration, v.UpdateTime, v.Etag = false, v.Generation, timestamppb.Now(), s.etag()
		s.finish(op.Name, v.Service, err)
	})
	return op
}

func (s *Server) service(name string) (string, *service, error) {
	id, err := s.id(name, "services")
	if err != nil {
		return "", nil, err
	}
	if s.services[id] == nil {
		return "", nil, notFound(name)
	}
	return id, s.services[id], nil
}

// GetService implements runpb.ServicesServer.
func (v servicesServer) GetService(_ context.Context, req *runpb.GetServiceRequest) (*runpb.Service, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	_, found, err := v.s.service(req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(found.Service), nil
}

// ListServices implements runpb.ServicesServer.
func (v servicesServer) ListServices(_ context.Context, req *runpb.ListServicesRequest) (*runpb.ListServicesResponse, error) {
	if err := v.s.checkParent(req.GetParent()); err != nil {
		return nil, err
	}
	items, next, err := page(v.s.Services(), req.GetPageSize(), req.GetPageToken())
	return &runpb.ListServicesResponse{Services: items, NextPageToken: next}, err
}

// Services lists the services that there are, newest first.
func (s *Server) Services() []*runpb.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*runpb.Service
	for _, v := range s.services {
		all = append(all, proto.CloneOf(v.Service))
	}
	return newestFirst(all)
}

// PeakServices is the most services that there ever were at one time.
func (s *Server) PeakServices() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak
}

// UpdateService implements runpb.ServicesServer: a new revision takes the place of the present one. The mask may name
// template, labels, annotations, scaling and invoker_iam_disabled; without one, all are replaced.
func (v servicesServer) UpdateService(ctx context.Context, req *runpb.UpdateServiceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	id, err := s.id(req.GetService().GetName(), "services")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	present := s.services[id]
	if present == nil && req.GetAllowMissing() {
		s.mu.Unlock()
		return v.CreateService(ctx, &runpb.CreateServiceRequest{Parent: s.parent, Service: req.GetService(), ServiceId: id, ValidateOnly: req.GetValidateOnly()})
	}
	defer s.mu.Unlock()
	if present == nil || present.DeleteTime != nil {
		return nil, notFound(req.GetService().GetName())
	}
	if err := checkEtag(req.GetService().GetEtag(), present.GetEtag(), present.GetName()); err != nil {
		return nil, err
	}
	changed := proto.CloneOf(present.Service)
	if err := merge(changed, req.GetService(), req.GetUpdateMask().GetPaths()); err != nil {
		return nil, err
	}
	container, err := checkService(changed)
	if err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.done(changed), nil
	}
	changed.Generation++
	old := present.front
	present.Service = changed
	old.mu.Lock()
	container.Resource, container.Env["K_SERVICE"] = id, id
	old.container, old.public = container, changed.GetInvokerIamDisabled()
	old.keep = max(changed.GetTemplate().GetScaling().GetMinInstanceCount(), changed.GetScaling().GetMinInstanceCount()) > 0
	old.mu.Unlock()
	s.later(0, func() { old.kill(false) })
	return s.deploy(present), nil
}

func merge(to, from *runpb.Service, mask []string) error {
	if len(mask) == 0 {
		mask = []string{"template", "labels", "annotations", "scaling", "invoker_iam_disabled"}
	}
	for _, path := range mask {
		switch path {
		case "template":
			to.Template = proto.CloneOf(from.GetTemplate())
		case "labels":
			to.Labels = from.GetLabels()
		case "annotations":
			to.Annotations = from.GetAnnotations()
		case "scaling":
			to.Scaling = proto.CloneOf(from.GetScaling())
		case "invoker_iam_disabled":
			to.InvokerIamDisabled = from.GetInvokerIamDisabled()
		default:
			return invalid("update_mask: path %q is not supported", path)
		}
	}
	return nil
}

// DeleteService implements runpb.ServicesServer.
func (v servicesServer) DeleteService(_ context.Context, req *runpb.DeleteServiceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	id, found, err := s.service(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), found.GetEtag(), found.GetName()); err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.done(found.Service), nil
	}
	op := s.begin(found.Service)
	if found.DeleteTime == nil {
		found.DeleteTime, found.Etag = timestamppb.Now(), s.etag()
	}
	s.later(s.o.OperationLatency, func() {
		found.front.end()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.services[id] == found {
			delete(s.services, id)
		}
		s.finish(op.Name, found.Service, nil)
	})
	return op, nil
}

// RemoveService deletes a service and returns when it is gone, as somebody does by hand.
func (s *Server) RemoveService(ctx context.Context, id string) error {
	op, err := servicesServer{s: s}.DeleteService(ctx, &runpb.DeleteServiceRequest{Name: s.parent + "/services/" + id})
	if err != nil {
		return err
	}
	_, err = operationsServer{s: s}.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: op.GetName()})
	return err
}

// Kill ends the container of a service or an instance, as the loss of its machine does.
func (s *Server) Kill(id string) {
	s.mu.Lock()
	var f *front
	if v := s.services[id]; v != nil {
		f = v.front
	} else if i := s.instances[id]; i != nil {
		f = i.front
	}
	s.mu.Unlock()
	if f != nil {
		f.kill(false)
	}
}

// Starts counts the containers that were started for a service or an instance.
func (s *Server) Starts(id string) int {
	s.mu.Lock()
	var fronts []*front
	if v := s.services[id]; v != nil {
		fronts = append(fronts, v.front)
	}
	if i := s.instances[id]; i != nil {
		fronts = append(fronts, i.front)
	}
	s.mu.Unlock()
	n := 0
	for _, f := range slices.Clip(fronts) {
		f.mu.Lock()
		n += f.starts
		f.mu.Unlock()
	}
	return n
}
