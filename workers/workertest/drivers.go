package workertest

import (
	"context"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
)

// The drivers here pass everything on and tell of the effects that succeeded.

type records struct {
	sandbox.RecordDriver
	fx *Effects
}

func (d records) Create(ctx context.Context, r sandbox.Record, spec sandbox.Spec) error {
	return d.fx.after(d.RecordDriver.Create(ctx, r, spec), "create as "+string(r.State))
}

func (d records) Save(ctx context.Context, r sandbox.Record) error {
	return d.fx.after(d.RecordDriver.Save(ctx, r), "save as "+string(r.State))
}

type routes struct {
	deployment.Driver
	fx *Effects
}

func (d routes) PutPreview(ctx context.Context, p deployment.Preview) error {
	return d.fx.after(d.Driver.PutPreview(ctx, p), "publish")
}

func (d routes) WithdrawPreview(ctx context.Context, sandboxID string, fence int64) error {
	return d.fx.after(d.Driver.WithdrawPreview(ctx, sandboxID, fence), "withdraw")
}

type runtime struct {
	sandbox.RuntimeDriver
	fx *Effects
}

func (d runtime) Build(ctx context.Context, t sandbox.Task) error {
	return d.fx.after(d.RuntimeDriver.Build(ctx, t), "build")
}

func (d runtime) Serve(ctx context.Context, t sandbox.Task) error {
	return d.fx.after(d.RuntimeDriver.Serve(ctx, t), "serve")
}

func (d runtime) Delete(ctx context.Context, ref sandbox.Ref) error {
	return d.fx.after(d.RuntimeDriver.Delete(ctx, ref), "delete")
}
