package doctor_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/cmd/internal/doctor"
)

// region is a region of Cloud Run with so many previews and other services.
type region struct {
	runpb.UnimplementedServicesServer
	previews, others int
	err              error
}

func (r *region) ListServices(_ context.Context, in *runpb.ListServicesRequest) (*runpb.ListServicesResponse, error) {
	if in.GetParent() != "projects/p/locations/europe-west1" {
		return nil, status.Error(codes.NotFound, in.GetParent())
	}
	from, _ := strconv.Atoi(in.GetPageToken()) // none is 0
	out := &runpb.ListServicesResponse{}
	all := r.previews + r.others
	for i := from; i < min(from+int(in.GetPageSize()), all); i++ {
		name := fmt.Sprint("vibesdk-", i)
		if i < r.previews {
			name = fmt.Sprint("sbx-", i)
		}
		out.Services = append(out.Services, &runpb.Service{Name: in.GetParent() + "/services/" + name})
	}
	if next := from + len(out.GetServices()); next < all {
		out.NextPageToken = strconv.Itoa(next)
	}
	return out, r.err
}

func TestServices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		region region
		want   string
	}{
		"much room":      {region{previews: 700, others: 99}, "ok: 799 of 1000 in europe-west1 are used, 700 by sandboxes"},
		"little":         {region{previews: 790, others: 10}, "warn: shorten SANDBOX_TTL"},
		"hardly any":     {region{previews: 900, others: 50}, "fail: 950 of 1000 services in europe-west1 are used"},
		"somebody elses": {region{previews: 3, others: 900}, "warn: no sandboxes of ours"},
		"forbidden":      {region{err: status.Error(codes.PermissionDenied, "")}, "skipped: roles/run.viewer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			runpb.RegisterServicesServer(server, &c.region)
			go func() { _ = server.Serve(ln) }() // until the test stops it
			t.Cleanup(server.Stop)
			want(t, doctor.Services(t.Context(), doctor.Place{Project: "p", Region: "europe-west1", Endpoint: ln.Addr().String()}), c.want)
		})
	}
	want(t, doctor.Services(t.Context(), doctor.Place{}), "skipped: --project")
}
