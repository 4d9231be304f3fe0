package doctor

import (
	"context"
	"errors"
	"path"
	"strings"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"

	"vibesdk-gcp/internal/checkup"
)

const (
	// maxServices is how many services Cloud Run allows in a project and region.
	maxServices = 1000
	// previewPrefix begins the names of the services that serve previews.
	previewPrefix = "sbx-"
)

// Services counts the services of Cloud Run, of which each running sandbox has one.
func Services(ctx context.Context, p Place) []checkup.Finding {
	f := checkup.About("services of Cloud Run")
	if !p.known(f) {
		return f.Else("")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	client, err := run.NewServicesClient(ctx, p.options()...)
	if err != nil {
		f.Skip("cannot connect to Cloud Run: %v", err)
		return f.Else("")
	}
	defer func() { _ = client.Close() }() // everything was read
	var used, previews int64
	for it := client.ListServices(ctx, &runpb.ListServicesRequest{Parent: p.parent(), PageSize: 100}); ; {
		service, err := it.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return unread(f, err, "roles/run.viewer")
		}
		used++
		if strings.HasPrefix(path.Base(service.GetName()), previewPrefix) {
			previews++
		}
	}
	fix := "shorten SANDBOX_TTL and SANDBOX_IDLE, give sandboxes a project of their own (sandbox_project_id), or ask for more services in " + p.Region
	if previews*2 < used {
		fix = "most are no sandboxes of ours: delete what nobody uses, or give sandboxes a project of their own (sandbox_project_id)"
	}
	f.Quota(fix, "services in "+p.Region, used, maxServices)
	return f.Else("%d of %d in %s are used, %d by sandboxes", used, maxServices, p.Region, previews)
}
