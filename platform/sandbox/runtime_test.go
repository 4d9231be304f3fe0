package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"vibesdk-gcp/platform/sandbox"
)

// scripted is a runtime that answers every call with one error and counts them.
type scripted struct {
	err   error
	calls int
}

func (s *scripted) answer() error { s.calls++; return s.err }

func (s *scripted) Build(context.Context, sandbox.Task) error                { return s.answer() }
func (s *scripted) Serve(context.Context, sandbox.Task) error                { return s.answer() }
func (s *scripted) Delete(context.Context, sandbox.Ref) error                { return s.answer() }
func (s *scripted) List(context.Context) ([]sandbox.Ref, error)              { return nil, s.answer() }
func (s *scripted) Await(context.Context, sandbox.Ref, sandbox.Status) error { return s.answer() }
func (s *scripted) Inspect(context.Context, sandbox.Ref) (sandbox.Status, error) {
	return sandbox.Status{Build: sandbox.Done}, s.answer()
}
func (s *scripted) Logs(context.Context, sandbox.Ref, sandbox.Phase, int64) (io.ReadCloser, error) {
	return nil, s.answer()
}

func TestRuntimeRefusesWhatIsNotValid(t *testing.T) {
	t.Parallel()
	d := &scripted{}
	rt := sandbox.NewRuntime(d, sandbox.RuntimeOptions{})
	ref := sandbox.Ref{ID: sandbox.IDFor("x"), Fence: 1}
	good := sandbox.Task{Ref: ref, Spec: goodSpec(), ControlToken: "c", Deadline: epoch}
	bad := []sandbox.Task{good, good, good, good}
	bad[0].ID, bad[1].ControlToken, bad[2].Deadline, bad[3].Spec.StaticDir = "../x", "", time.Time{}, ""
	var errs []error
	for _, task := range bad {
		errs = append(errs, rt.Build(t.Context(), task), rt.Serve(t.Context(), task))
	}
	nowhere := sandbox.Ref{ID: ref.ID}
	_, inspect := rt.Inspect(t.Context(), nowhere)
	_, logs := rt.Logs(t.Context(), nowhere, sandbox.PhaseBuild, 0)
	_, phase := rt.Logs(t.Context(), ref, "../build", 0)
	_, offset := rt.Logs(t.Context(), ref, sandbox.PhaseBuild, -1)
	errs = append(errs, inspect, logs, phase, offset, rt.Delete(t.Context(), nowhere), rt.Await(t.Context(), nowhere, sandbox.Status{}))
	for i, err := range errs {
		if !errors.Is(err, sandbox.ErrInvalid) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if d.calls != 0 {
		t.Errorf("%d calls reached the driver", d.calls)
	}
	if err := rt.Build(t.Context(), good); err != nil || d.calls != 1 {
		t.Errorf("a good task: %v, %d calls", err, d.calls)
	}
}

func TestRuntimeMeasuresWithClosedLabels(t *testing.T) {
	t.Parallel()
	reader := sdk.NewManualReader()
	d := &scripted{}
	rt := sandbox.NewRuntime(d, sandbox.RuntimeOptions{Meter: sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")})
	ref := sandbox.Ref{ID: sandbox.IDFor("x"), Fence: 1}
	for _, d.err = range []error{
		nil, fmt.Errorf("x: %w", sandbox.ErrNotFound), sandbox.ErrGone, sandbox.ErrTransition, sandbox.ErrUnavailable, context.Canceled, context.DeadlineExceeded, errors.New("it broke at 10.0.0.7"),
	} {
		if err := rt.Delete(t.Context(), ref); !errors.Is(err, d.err) {
			t.Errorf("Delete = %v, want %v", err, d.err)
		}
	}
	_ = rt.Delete(t.Context(), sandbox.Ref{})
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &metrics); err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, point := range metrics.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints {
		method, _ := point.Attributes.Value("method")
		outcome, _ := point.Attributes.Value("outcome")
		if point.Attributes.Len() != 2 {
			t.Errorf("labels %v", point.Attributes)
		}
		got[method.AsString()+" "+outcome.AsString()] += point.Count
	}
	want := map[string]uint64{
		"delete ok": 1, "delete not_found": 2, "delete refused": 1, "delete unavailable": 1, "delete canceled": 2, "delete error": 1, "delete invalid": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
