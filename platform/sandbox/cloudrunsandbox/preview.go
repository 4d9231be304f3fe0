package cloudrunsandbox

import (
	"context"
	"fmt"
	"strconv"

	"cloud.google.com/go/run/apiv2/runpb"

	"vibesdk-gcp/platform/sandbox"
)

// previews are the resources that previews are: services or instances.
type previews interface {
	// create asks for a preview. It is harmless twice: errTaken when the name is taken.
	create(ctx context.Context, p previewSpec) error
	// update gives one another container, if it is still the one that was seen: errChanged otherwise. Where previews cannot be
	// changed it does nothing and says so.
	update(ctx context.Context, seen preview, p previewSpec) (done bool, err error)
	// get looks at one; errAbsent when there is none.
	get(ctx context.Context, name string) (preview, error)
	// remove asks for its end, if it is still the one that was seen: errChanged otherwise, errAbsent when there is none.
	remove(ctx context.Context, p preview) error
	// list returns all previews of this installation.
	list(ctx context.Context) ([]preview, error)
}

// preview is what Cloud Run says about one.
type preview struct {
	name, etag string
	labels     map[string]string
	// deleting says that it is on its way out.
	deleting bool
	uri      string
	state    runpb.Condition_State
	message  string
}

// previewSpec is what a preview shall be.
type previewSpec struct {
	ref       sandbox.Ref
	labels    map[string]string
	container *runpb.Container
	// live says that the container has a state worth keeping, and work to do between requests: a development server.
	live bool
}

// Labels of a preview.
const (
	installationLabel = "vibesdk-installation"
	idLabel           = "vibesdk-sandbox"
	fenceLabel        = "vibesdk-fence"
)

// previewName is derived from the generation: sbx-…-<fence in base 36>, at most 34 characters of the 49 that are allowed.
func previewName(ref sandbox.Ref) string { return ref.ID + "-" + strconv.FormatInt(ref.Fence, 36) }

func (d *Driver) labels(ref sandbox.Ref) map[string]string {
	return map[string]string{installationLabel: d.o.Installation, idLabel: ref.ID, fenceLabel: strconv.FormatInt(ref.Fence, 10)}
}

// ref reads whose a preview is; false for one of another installation or of somebody else.
func (d *Driver) ref(p preview) (sandbox.Ref, bool) {
	fence, err := strconv.ParseInt(p.labels[fenceLabel], 10, 64)
	ref := sandbox.Ref{ID: p.labels[idLabel], Fence: fence}
	return ref, err == nil && ref.Validate() == nil && p.labels[installationLabel] == d.o.Installation
}

// previewSpec is the preview of a generation. What it must know is behind one address.
func (d *Driver) previewSpec(ref sandbox.Ref, spec sandbox.Spec, address string) previewSpec {
	live := spec.Dev != ""
	return previewSpec{ref: ref, labels: d.labels(ref), live: live, container: &runpb.Container{
		Image: d.o.Image,
		Args:  []string{string(sandbox.PhaseServe)},
		Env:   env(map[string]string{taskVar: address, refVar: ref.String()}),
		Ports: []*runpb.ContainerPort{{ContainerPort: 8080}},
		Resources: &runpb.ResourceRequirements{
			Limits: map[string]string{"cpu": d.o.CPU, "memory": d.o.Memory},
			// A development server compiles when files change, not when somebody asks.
			CpuIdle:         !live,
			StartupCpuBoost: true,
		},
	}}
}

// vpc sends everything through the network, where a firewall can bound it.
func (d *Driver) vpc() *runpb.VpcAccess {
	if d.o.Network == "" {
		return nil
	}
	return &runpb.VpcAccess{
		Egress:            runpb.VpcAccess_ALL_TRAFFIC,
		NetworkInterfaces: []*runpb.VpcAccess_NetworkInterface{{Network: d.o.Network, Subnetwork: d.o.Subnetwork}},
	}
}

// checkOwner holds a preview whose name was taken against what it should be.
func (d *Driver) checkOwner(p preview, ref sandbox.Ref) error {
	if owner, ok := d.ref(p); !ok || owner != ref {
		return fmt.Errorf("%w: the name %s is taken by a resource that is not of this sandbox", sandbox.ErrUnavailable, previewName(ref))
	}
	return nil
}
