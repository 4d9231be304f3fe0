package cloudrunsandbox

import (
	"context"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// services are previews as Cloud Run services.
type services struct {
	d      *Driver
	client *run.ServicesClient
}

func (d *Driver) connectServices(ctx context.Context) error {
	client, err := run.NewServicesClient(ctx, d.o.ClientOptions...)
	if err != nil {
		return err
	}
	client.CallOptions = &run.ServicesCallOptions{} // timeouts and retries are Driver.call's
	d.close = append(d.close, client.Close)
	d.previews = services{d, client}
	return nil
}

// requestTimeout is the longest that a request, a WebSocket included, may last.
const requestTimeout = time.Hour

func (s services) create(ctx context.Context, p previewSpec) error {
	return s.d.call(ctx, s.d.writes, false, func(ctx context.Context) error {
		_, err := s.client.CreateService(ctx, &runpb.CreateServiceRequest{Parent: s.d.parent, ServiceId: previewName(p.ref), Service: s.service(p)})
		return err
	})
}

func (s services) service(p previewSpec) *runpb.Service {
	least := int32(0)
	if p.live {
		least = 1
	}
	return &runpb.Service{
		Labels:             p.labels,
		Ingress:            runpb.IngressTraffic_INGRESS_TRAFFIC_ALL,
		InvokerIamDisabled: true, // who may see a preview is the router's business; the live endpoints have a token
		Scaling:            &runpb.ServiceScaling{MinInstanceCount: least, MaxInstanceCount: 1},
		Template: &runpb.RevisionTemplate{
			Labels: p.labels,
			// The files of a preview are in its one instance: a second one would show others.
			Scaling:                       &runpb.RevisionScaling{MinInstanceCount: least, MaxInstanceCount: 1},
			MaxInstanceRequestConcurrency: 250,
			Timeout:                       durationpb.New(requestTimeout),
			ServiceAccount:                s.d.o.ServiceAccount,
			ExecutionEnvironment:          runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2,
			VpcAccess:                     s.d.vpc(),
			Containers:                    []*runpb.Container{p.container},
		},
	}
}

func (s services) update(ctx context.Context, seen preview, p previewSpec) (bool, error) {
	changed := s.service(p)
	changed.Name, changed.Etag = s.name(seen.name), seen.etag
	err := s.d.call(ctx, s.d.writes, true, func(ctx context.Context) error {
		_, err := s.client.UpdateService(ctx, &runpb.UpdateServiceRequest{Service: changed, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"template"}}})
		return err
	})
	return err == nil, err
}

func (s services) get(ctx context.Context, name string) (preview, error) {
	var found *runpb.Service
	err := s.d.call(ctx, s.d.reads, false, func(ctx context.Context) (err error) {
		found, err = s.client.GetService(ctx, &runpb.GetServiceRequest{Name: s.name(name)})
		return err
	})
	return previewOfService(found), err
}

func (s services) name(id string) string { return s.d.parent + "/services/" + id }

func previewOfService(v *runpb.Service) preview {
	p := preview{
		name: lastPart(v.GetName()), etag: v.GetEtag(), labels: v.GetLabels(), deleting: v.GetDeleteTime() != nil, uri: v.GetUri(),
		state: v.GetTerminalCondition().GetState(), message: v.GetTerminalCondition().GetMessage(),
	}
	if v.GetReconciling() {
		p.state = runpb.Condition_CONDITION_RECONCILING
	}
	return p
}

func (s services) remove(ctx context.Context, p preview) error {
	return s.d.call(ctx, s.d.writes, false, func(ctx context.Context) error {
		_, err := s.client.DeleteService(ctx, &runpb.DeleteServiceRequest{Name: s.name(p.name), Etag: p.etag})
		return err
	})
}

func (s services) list(ctx context.Context) ([]preview, error) {
	var all []preview
	err := s.d.eachPage(ctx, func(ctx context.Context, token string) (string, error) {
		var page []*runpb.Service
		list := s.client.ListServices(ctx, &runpb.ListServicesRequest{Parent: s.d.parent})
		next, err := iterator.NewPager(list, pageSize, token).NextPage(&page)
		if err != nil {
			return "", err
		}
		for _, v := range page {
			all = append(all, previewOfService(v))
		}
		return next, nil
	})
	return all, err
}
