package cloudrunsandbox

import (
	"cmp"
	"context"
	"slices"

	"cloud.google.com/go/run/apiv2/runpb"

	"vibesdk-gcp/platform/sandbox"
)

// List implements [sandbox.RuntimeDriver]. It reads all three: the store, the executions and the previews, so that it also shows what
// lost its notes.
func (d *Driver) List(ctx context.Context) ([]sandbox.Ref, error) {
	keys, err := d.list(ctx, generations)
	if err != nil {
		return nil, err
	}
	var refs []sandbox.Ref
	for _, k := range keys {
		if ref, ok := refOf(k, generations); ok {
			refs = append(refs, ref)
		}
	}
	if err := d.eachExecution(ctx, func(ref sandbox.Ref, _ *runpb.Execution) { refs = append(refs, ref) }); err != nil {
		return nil, err
	}
	all, err := d.previews.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if ref, ok := d.ref(p); ok {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b sandbox.Ref) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Fence, b.Fence)) })
	return slices.Compact(refs), nil
}
