package cloudrunfake_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
)

// TestAService follows one from its creation to its end.
func TestAService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	release := r.Hold()
	op, err := r.create("shop", service(self("serve"), 0))
	must(t, err)
	name := r.Parent() + "/services/shop"
	if meta, err := op.Metadata(); err != nil || meta.GetName() != name {
		t.Errorf("metadata: %v, %v", meta, err)
	}
	early, err := r.services.GetService(t.Context(), &runpb.GetServiceRequest{Name: name})
	must(t, err)
	if !early.GetReconciling() || early.GetTerminalCondition().GetState() != runpb.Condition_CONDITION_RECONCILING || early.GetUid() == "" {
		t.Errorf("right after its creation: %v", early)
	}
	release()
	made, err := op.Wait(t.Context())
	must(t, err)
	if made.GetReconciling() || made.GetTerminalCondition().GetState() != runpb.Condition_CONDITION_SUCCEEDED || made.GetEtag() == early.GetEtag() {
		t.Errorf("ready: %v", made)
	}
	if code, body := get(t, made.GetUri()+"/path"); code != 200 || !strings.HasPrefix(body, "hello /path pid ") {
		t.Errorf("%d %q", code, body)
	}
	if out := r.output("shop"); !strings.Contains(out, "K_SERVICE=shop\n") || !strings.Contains(out, "PORT=") || strings.Contains(out, "HOME=") {
		t.Errorf("its environment: %q", out)
	}
	_, err = r.services.DeleteService(t.Context(), &runpb.DeleteServiceRequest{Name: name, Etag: early.GetEtag()})
	wantCode(t, err, codes.Aborted, early.GetEtag())
	release = r.Hold()
	gone, err := r.services.DeleteService(t.Context(), &runpb.DeleteServiceRequest{Name: name, Etag: made.GetEtag()})
	must(t, err)
	dying, err := r.services.GetService(t.Context(), &runpb.GetServiceRequest{Name: name})
	must(t, err)
	if dying.GetDeleteTime() == nil {
		t.Error("a service that is being deleted does not say so")
	}
	_, err = r.create("shop", service(self("serve"), 0))
	wantCode(t, err, codes.AlreadyExists)
	release()
	_, err = gone.Wait(t.Context())
	must(t, err)
	_, err = r.services.GetService(t.Context(), &runpb.GetServiceRequest{Name: name})
	wantCode(t, err, codes.NotFound)
	if code, body := get(t, made.GetUri()); code != 0 {
		t.Errorf("it still answers %d %q", code, body)
	}
}

// pidOf reads the number of the process that answers.
func pidOf(t *testing.T, url string) (pid int) {
	t.Helper()
	_, body := get(t, url)
	if _, err := fmt.Sscanf(body, "hello / pid %d", &pid); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return pid
}

// TestInstancesOfAServiceComeAndGo lets an instance idle, die and be killed.
func TestInstancesOfAServiceComeAndGo(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *cloudrunfake.Options) { o.IdleAfter = 100 * time.Millisecond })
	for least, id := range []string{"sleepy", "kept"} {
		op, err := r.create(id, service(self("serve"), int32(least)))
		must(t, err)
		made, err := op.Wait(t.Context())
		must(t, err)
		first := pidOf(t, made.GetUri())
		if least == 0 {
			until(t, "the idle instance is gone", func() bool { return syscall.Kill(first, 0) != nil })
		} else {
			r.Kill(id)
			until(t, "the lost instance is started again", func() bool { return r.Starts(id) == 2 })
		}
		if second := pidOf(t, made.GetUri()); second == first || r.Starts(id) < 2 {
			t.Errorf("%s: process %d after %d, %d starts", id, second, first, r.Starts(id))
		}
	}
}

// TestServicesThatDoNotWork is the table of what makes a revision fail.
func TestServicesThatDoNotWork(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *cloudrunfake.Options) { o.StartTimeout, o.Grace = 300*time.Millisecond, 50*time.Millisecond })
	for id, c := range map[string]*runpb.Container{"exits": self("exit", "x"), "deaf": self("sleep"), "stubborn": self("stubborn"), "no-image": {Image: "missing"}} {
		op, err := r.create(id, service(c, 0))
		must(t, err)
		_, err = op.Wait(t.Context())
		wantCode(t, err, codes.FailedPrecondition, "PORT")
		v, err := r.services.GetService(t.Context(), &runpb.GetServiceRequest{Name: r.Parent() + "/services/" + id})
		must(t, err)
		if v.GetReconciling() || v.GetTerminalCondition().GetState() != runpb.Condition_CONDITION_FAILED {
			t.Errorf("%s: %v", id, v.GetTerminalCondition())
		}
	}
}

func TestAPrivateServiceIsForbidden(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	private := service(self("serve"), 0)
	private.InvokerIamDisabled = false
	op, err := r.create("private", private)
	must(t, err)
	made, err := op.Wait(t.Context())
	must(t, err)
	if code, _ := get(t, made.GetUri()); code != 403 {
		t.Errorf("a private service answers anybody with %d", code)
	}
}

func TestServiceRules(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *cloudrunfake.Options) {
		o.Quotas.Services, o.Quotas.WritesPerSecond = 2, 0
		o.Run = func(ctx context.Context, _ cloudrunfake.Container) int { <-ctx.Done(); return 0 }
	})
	try := func(id string, change func(*runpb.Service)) error {
		v := service(self("x"), 0)
		if change != nil {
			change(v)
		}
		_, err := r.create(id, v)
		return err
	}
	for _, id := range []string{"", "A", "1a", "a-", "a.b", strings.Repeat("a", 50)} {
		wantCode(t, try(id, nil), codes.InvalidArgument, "service_id")
	}
	wantCode(t, try("a", func(v *runpb.Service) { v.Template = nil }), codes.InvalidArgument, "template")
	wantCode(t, try("a", func(v *runpb.Service) { v.Template.Containers = nil }), codes.InvalidArgument, "containers")
	wantCode(t, try("a", func(v *runpb.Service) { v.Labels = map[string]string{"Upper": "x"} }), codes.InvalidArgument, "labels")
	wantCode(t, try("a", func(v *runpb.Service) { v.Template.Scaling.MinInstanceCount = 2 }), codes.InvalidArgument, "scaling")
	wantCode(t, try("a", func(v *runpb.Service) { v.Template.Containers[0].Env = variables("PORT", "1") }), codes.InvalidArgument, "PORT")
	must(t, try(strings.Repeat("a", 49), nil))
	must(t, try("b", nil))
	wantCode(t, try("b", nil), codes.AlreadyExists)
	wantCode(t, try("c", nil), codes.ResourceExhausted, "Services", "2")
	_, err := r.instances.CreateInstance(t.Context(), &runpb.CreateInstanceRequest{Parent: r.Parent(), InstanceId: "b", Instance: &runpb.Instance{Containers: []*runpb.Container{self("x")}}})
	wantCode(t, err, codes.AlreadyExists)
	if r.PeakEndpoints() != 2 {
		t.Errorf("peak is %d", r.PeakEndpoints())
	}
}

func TestServicesAreListedInPages(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *cloudrunfake.Options) {
		o.Run = func(ctx context.Context, _ cloudrunfake.Container) int { <-ctx.Done(); return 0 }
	})
	const count = 230
	for i := range count {
		_, err := r.create(fmt.Sprint("s", i), service(self("x"), 0))
		must(t, err)
	}
	seen, calls := map[string]bool{}, len(r.Calls())
	it := r.services.ListServices(t.Context(), &runpb.ListServicesRequest{Parent: r.Parent()})
	for {
		v, err := it.Next()
		if err == iterator.Done { //nolint:errorlint // that is how it is compared
			break
		}
		must(t, err)
		seen[v.GetName()] = true
	}
	if len(seen) != count || len(r.Calls())-calls != 3 {
		t.Errorf("%d of %d services in %d pages", len(seen), count, len(r.Calls())-calls)
	}
}

func TestUpdateService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	op, err := r.create("shop", service(self("serve"), 0))
	must(t, err)
	made, err := op.Wait(t.Context())
	must(t, err)
	changed := &runpb.Service{Name: made.GetName(), Etag: `"old"`, Template: made.GetTemplate()}
	changed.Template.Containers[0].Env = variables("CONTAINER", "1", "GREETING", "good day")
	mask := &fieldmaskpb.FieldMask{Paths: []string{"template"}}
	_, err = r.services.UpdateService(t.Context(), &runpb.UpdateServiceRequest{Service: changed, UpdateMask: mask})
	wantCode(t, err, codes.Aborted)
	changed.Etag = made.GetEtag()
	update, err := r.services.UpdateService(t.Context(), &runpb.UpdateServiceRequest{Service: changed, UpdateMask: mask})
	must(t, err)
	got, err := update.Wait(t.Context())
	must(t, err)
	if got.GetGeneration() != 2 || !got.GetInvokerIamDisabled() {
		t.Errorf("updated: %v", got)
	}
	until(t, "the new revision answers", func() bool { _, body := get(t, got.GetUri()); return strings.HasPrefix(body, "good day") })
}

// TestAnInstance starts, stops, starts again and deletes one.
func TestAnInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	op, err := r.instances.CreateInstance(ctx, &runpb.CreateInstanceRequest{Parent: r.Parent(), InstanceId: "one", Instance: &runpb.Instance{
		Containers: []*runpb.Container{self("serve")}, InvokerIamDisabled: true,
	}})
	must(t, err)
	made, err := op.Wait(ctx)
	must(t, err)
	first := pidOf(t, made.GetUrls()[0])
	r.Kill("one")
	until(t, "it is started again", func() bool { return r.Starts("one") == 2 })
	second := pidOf(t, made.GetUrls()[0])
	stop, err := r.instances.StopInstance(ctx, &runpb.StopInstanceRequest{Name: made.GetName()})
	must(t, err)
	_, err = stop.Wait(ctx)
	must(t, err)
	if syscall.Kill(second, 0) == nil || second == first {
		t.Errorf("processes %d and %d live on", first, second)
	}
	start, err := r.instances.StartInstance(ctx, &runpb.StartInstanceRequest{Name: made.GetName()})
	must(t, err)
	again, err := start.Wait(ctx)
	must(t, err)
	third := pidOf(t, again.GetUrls()[0])
	_, err = r.instances.DeleteInstance(ctx, &runpb.DeleteInstanceRequest{Name: made.GetName(), Etag: made.GetEtag()})
	wantCode(t, err, codes.Aborted)
	gone, err := r.instances.DeleteInstance(ctx, &runpb.DeleteInstanceRequest{Name: made.GetName(), Etag: again.GetEtag()})
	must(t, err)
	_, err = gone.Wait(ctx)
	must(t, err)
	_, err = r.instances.GetInstance(ctx, &runpb.GetInstanceRequest{Name: made.GetName()})
	wantCode(t, err, codes.NotFound)
	if syscall.Kill(third, 0) == nil {
		t.Errorf("process %d lives on", third)
	}
}

// TestWritesAreLimited uses up the quota of a minute, of which reads are free.
func TestWritesAreLimited(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *cloudrunfake.Options) { o.Quotas.WritesPerSecond = 0.001 })
	name := r.job("a", self("x"), 0)
	_, err := r.jobs.RunJob(t.Context(), &runpb.RunJobRequest{Name: name})
	wantCode(t, err, codes.ResourceExhausted, "Write requests")
	_, err = r.jobs.GetJob(t.Context(), &runpb.GetJobRequest{Name: name})
	must(t, err)
}

// TestCloseEndsEverything closes a server while containers run, one of which ignores SIGTERM.
func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	var pids []int
	t.Run("server", func(t *testing.T) {
		r := newRig(t, func(o *cloudrunfake.Options) { o.Grace = 50 * time.Millisecond })
		name, _ := r.start(r.job("a", self("stubborn"), 0), nil)
		id := name[strings.LastIndexByte(name, '/')+1:]
		until(t, "it ignores signals", func() bool { return strings.Contains(r.output(id), "ignoring\n") })
		_, text, _ := strings.Cut(r.output(id), "pid ")
		var stubborn int
		_, err := fmt.Sscan(text, &stubborn)
		must(t, err)
		pids = append(pids, stubborn)
		op, err := r.create("shop", service(self("serve"), 1))
		must(t, err)
		made, err := op.Wait(t.Context())
		must(t, err)
		pids = append(pids, pidOf(t, made.GetUri()))
	})
	if len(pids) != 2 {
		t.Errorf("the case tells nothing: only processes %v were seen", pids)
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d lives on", pid)
		}
	}
}
