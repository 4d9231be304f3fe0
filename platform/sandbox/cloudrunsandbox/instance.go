package cloudrunsandbox

import (
	"context"
	"strings"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"
)

// instances are previews as Cloud Run instances.
type instances struct {
	d      *Driver
	client *run.InstancesClient
}

func (d *Driver) connectInstances(ctx context.Context) error {
	client, err := run.NewInstancesClient(ctx, d.o.ClientOptions...)
	if err != nil {
		return err
	}
	client.CallOptions = &run.InstancesCallOptions{} // timeouts and retries are Driver.call's
	d.close = append(d.close, client.Close)
	d.previews = instances{d, client}
	return nil
}

func (s instances) create(ctx context.Context, p previewSpec) error {
	p.container.Resources.CpuIdle = false // an instance has its processor for as long as it lives
	return s.d.call(ctx, s.d.writes, false, func(ctx context.Context) error {
		_, err := s.client.CreateInstance(ctx, &runpb.CreateInstanceRequest{Parent: s.d.parent, InstanceId: previewName(p.ref), Instance: &runpb.Instance{
			Labels:             p.labels,
			Ingress:            runpb.IngressTraffic_INGRESS_TRAFFIC_ALL,
			InvokerIamDisabled: true,
			ServiceAccount:     s.d.o.ServiceAccount,
			VpcAccess:          s.d.vpc(),
			Containers:         []*runpb.Container{p.container},
		}})
		return err
	})
}

// update does nothing: the API cannot change an instance, and one does not start again by itself.
func (s instances) update(context.Context, preview, previewSpec) (bool, error) { return false, nil }

func (s instances) get(ctx context.Context, name string) (preview, error) {
	var found *runpb.Instance
	err := s.d.call(ctx, s.d.reads, false, func(ctx context.Context) (err error) {
		found, err = s.client.GetInstance(ctx, &runpb.GetInstanceRequest{Name: s.name(name)})
		return err
	})
	return previewOfInstance(found), err
}

func (s instances) name(id string) string { return s.d.parent + "/instances/" + id }

func previewOfInstance(v *runpb.Instance) preview {
	p := preview{
		name: lastPart(v.GetName()), etag: v.GetEtag(), labels: v.GetLabels(), deleting: v.GetDeleteTime() != nil,
		state: v.GetTerminalCondition().GetState(), message: v.GetTerminalCondition().GetMessage(),
	}
	if len(v.GetUrls()) > 0 {
		p.uri = v.GetUrls()[0]
	}
	if v.GetReconciling() {
		p.state = runpb.Condition_CONDITION_RECONCILING
	}
	return p
}

func (s instances) remove(ctx context.Context, p preview) error {
	return s.d.call(ctx, s.d.writes, false, func(ctx context.Context) error {
		_, err := s.client.DeleteInstance(ctx, &runpb.DeleteInstanceRequest{Name: s.name(p.name), Etag: p.etag})
		return err
	})
}

func (s instances) list(ctx context.Context) ([]preview, error) {
	var all []preview
	err := s.d.eachPage(ctx, func(ctx context.Context, token string) (string, error) {
		var page []*runpb.Instance
		list := s.client.ListInstances(ctx, &runpb.ListInstancesRequest{Parent: s.d.parent})
		next, err := iterator.NewPager(list, pageSize, token).NextPage(&page)
		if err != nil {
			return "", err
		}
		for _, v := range page {
			all = append(all, previewOfInstance(v))
		}
		return next, nil
	})
	return all, err
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
