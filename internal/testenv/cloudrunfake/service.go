package cloudrunfake

import (
	"context"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/proto"
)

type servicesServer struct {
	runpb.UnimplementedServicesServer
	s *Server
}

// checkService reads what a service's container is, and holds the rest against the rules.
func checkService(id string, v *runpb.Service) (Container, error) {
	scaling := v.GetTemplate().GetScaling()
	switch {
	case v.GetTemplate() == nil:
		return Container{}, invalid("template: is required")
	case len(v.GetDescription()) > 512:
		return Container{}, invalid("description: at most 512 characters")
	case scaling.GetMinInstanceCount() > scaling.GetMaxInstanceCount() && scaling.GetMaxInstanceCount() > 0:
		return Container{}, invalid("template.scaling: min_instance_count is larger than max_instance_count")
	}
	for _, labels := range []map[string]string{v.GetLabels(), v.GetTemplate().GetLabels()} {
		if err := checkLabels(labels); err != nil {
			return Container{}, err
		}
	}
	c, err := containerOf(id, v.GetTemplate().GetContainers())
	if err != nil {
		return c, err
	}
	c.Env["K_SERVICE"], c.Env["K_CONFIGURATION"], c.Env["K_REVISION"] = id, id, id+"-00001"
	return c, nil
}

// keeps reports a service of which an instance always runs.
func keeps(v *runpb.Service) bool {
	return max(v.GetTemplate().GetScaling().GetMinInstanceCount(), v.GetScaling().GetMinInstanceCount()) > 0
}

// CreateService implements runpb.ServicesServer.
func (v servicesServer) CreateService(_ context.Context, req *runpb.CreateServiceRequest) (*longrunningpb.Operation, error) {
	asked := req.GetService()
	container, err := checkService(req.GetServiceId(), asked)
	if err != nil {
		return nil, err
	}
	return v.s.create(serviceKind, newEndpoint{
		parent: req.GetParent(), id: req.GetServiceId(), resource: asked, validateOnly: req.GetValidateOnly(),
		container: container, public: asked.GetInvokerIamDisabled(), keep: keeps(asked),
	})
}

// GetService implements runpb.ServicesServer.
func (v servicesServer) GetService(_ context.Context, req *runpb.GetServiceRequest) (*runpb.Service, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	found, err := v.s.endpoint(serviceKind, req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(found.resource.(*runpb.Service)), nil
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
func (s *Server) Services() []*runpb.Service { return list[*runpb.Service](s) }

// UpdateService implements runpb.ServicesServer: a new revision takes the place of the present one. The mask may name
// template, labels, annotations, scaling and invoker_iam_disabled; without one, all are replaced.
func (v servicesServer) UpdateService(ctx context.Context, req *runpb.UpdateServiceRequest) (*longrunningpb.Operation, error) {
	s := v.s
	id, err := s.id(req.GetService().GetName(), serviceKind.collection)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.endpoints[id] == nil && req.GetAllowMissing() {
		s.mu.Unlock()
		return v.CreateService(ctx, &runpb.CreateServiceRequest{Parent: s.parent, Service: req.GetService(), ServiceId: id, ValidateOnly: req.GetValidateOnly()})
	}
	defer s.mu.Unlock()
	present, err := s.endpoint(serviceKind, req.GetService().GetName())
	if err != nil {
		return nil, err
	}
	changed := proto.CloneOf(present.resource.(*runpb.Service))
	if changed.DeleteTime != nil {
		return nil, notFound(changed.GetName())
	}
	if err := checkEtag(req.GetService().GetEtag(), changed.GetEtag(), changed.GetName()); err != nil {
		return nil, err
	}
	if err := merge(changed, req.GetService(), req.GetUpdateMask().GetPaths()); err != nil {
		return nil, err
	}
	container, err := checkService(id, changed)
	if err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.done(changed), nil
	}
	changed.Generation++
	present.resource = changed
	present.front.replace(container, changed.GetInvokerIamDisabled(), keeps(changed))
	s.later(0, func() { present.front.kill(false) })
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
	return v.s.remove(serviceKind, req.GetName(), req.GetEtag(), req.GetValidateOnly())
}

// RemoveService deletes a service and returns when it is gone, as somebody does by hand.
func (s *Server) RemoveService(ctx context.Context, id string) error {
	op, err := s.remove(serviceKind, s.parent+"/services/"+id, "", false)
	if err != nil {
		return err
	}
	_, err = operationsServer{s: s}.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: op.GetName()})
	return err
}
