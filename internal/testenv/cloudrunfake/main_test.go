package cloudrunfake_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
)

// This test binary is also what containers run: it prints its environment and does what its arguments say.
func TestMain(m *testing.M) {
	if os.Getenv("CONTAINER") != "" {
		os.Exit(container(os.Args[1:]))
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop")); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

func container(args []string) int {
	fmt.Println(strings.Join(os.Environ(), "\n"))
	switch args[0] {
	case "exit":
		return len(args[1])
	case "sleep":
		time.Sleep(time.Hour)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Printf("pid %d\nignoring\n", os.Getpid())
		time.Sleep(time.Hour)
	case "serve":
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s pid %d", os.Getenv("GREETING"), r.URL.Path, os.Getpid())
		})
		fmt.Println(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), handler))
		return 1
	}
	return 0
}

// rig is a server with clients, over the wire.
type rig struct {
	*cloudrunfake.Server
	t          *testing.T
	jobs       *run.JobsClient
	executions *run.ExecutionsClient
	services   *run.ServicesClient
	instances  *run.InstancesClient

	mu      sync.Mutex
	printed map[string]string // by resource
}

func newRig(t *testing.T, change ...func(*cloudrunfake.Options)) *rig {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	r := &rig{t: t, printed: map[string]string{}}
	o := cloudrunfake.Options{Programs: map[string]string{"self": self}, OperationLatency: 10 * time.Millisecond, Output: func(c cloudrunfake.Container, p []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.printed[c.Resource] += string(p)
	}}
	for _, c := range change {
		c(&o)
	}
	r.Server, err = cloudrunfake.New(o)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	ctx := t.Context()
	r.jobs, err = run.NewJobsClient(ctx, r.ClientOptions()...)
	must(t, err)
	r.executions, err = run.NewExecutionsClient(ctx, r.ClientOptions()...)
	must(t, err)
	r.services, err = run.NewServicesClient(ctx, r.ClientOptions()...)
	must(t, err)
	r.instances, err = run.NewInstancesClient(ctx, r.ClientOptions()...)
	must(t, err)
	t.Cleanup(func() {
		for _, c := range []io.Closer{r.jobs, r.executions, r.services, r.instances} {
			must(t, c.Close())
		}
	})
	return r
}

func self(args ...string) *runpb.Container {
	return &runpb.Container{Image: "self", Args: args, Env: variables("CONTAINER", "1", "GREETING", "hello")}
}

func variables(pairs ...string) []*runpb.EnvVar {
	var list []*runpb.EnvVar
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, &runpb.EnvVar{Name: pairs[i], Values: &runpb.EnvVar_Value{Value: pairs[i+1]}})
	}
	return list
}

// job makes a job and waits until it is there.
func (r *rig) job(id string, c *runpb.Container, retries int32) string {
	r.t.Helper()
	op, err := r.jobs.CreateJob(r.t.Context(), &runpb.CreateJobRequest{Parent: r.Parent(), JobId: id, Job: &runpb.Job{
		Template: &runpb.ExecutionTemplate{Template: &runpb.TaskTemplate{Containers: []*runpb.Container{c}, Retries: &runpb.TaskTemplate_MaxRetries{MaxRetries: retries}}},
	}})
	must(r.t, err)
	made, err := op.Wait(r.t.Context())
	must(r.t, err)
	return made.GetName()
}

// start runs a job and returns the execution's name, which is known at once.
func (r *rig) start(job string, o *runpb.RunJobRequest_Overrides) (string, *run.RunJobOperation) {
	r.t.Helper()
	op, err := r.jobs.RunJob(r.t.Context(), &runpb.RunJobRequest{Name: job, Overrides: o})
	must(r.t, err)
	meta, err := op.Metadata()
	must(r.t, err)
	if !strings.HasPrefix(meta.GetName(), job+"/executions/") {
		r.t.Fatalf("the execution is called %q", meta.GetName())
	}
	return meta.GetName(), op
}

func (r *rig) execution(name string) *runpb.Execution {
	r.t.Helper()
	e, err := r.executions.GetExecution(r.t.Context(), &runpb.GetExecutionRequest{Name: name})
	must(r.t, err)
	return e
}

func (r *rig) output(resource string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.printed[resource]
}

func service(c *runpb.Container, least int32) *runpb.Service {
	return &runpb.Service{InvokerIamDisabled: true, Template: &runpb.RevisionTemplate{
		Containers: []*runpb.Container{c}, Scaling: &runpb.RevisionScaling{MinInstanceCount: least, MaxInstanceCount: 1},
	}}
}

func (r *rig) create(id string, v *runpb.Service) (*run.CreateServiceOperation, error) {
	return r.services.CreateService(r.t.Context(), &runpb.CreateServiceRequest{Parent: r.Parent(), ServiceId: id, Service: v})
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(body)
}

// until waits for a fact that comes about by itself.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !so() {
		if ctx.Err() != nil {
			t.Fatal("still not:", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want codes.Code, words ...string) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	for _, w := range words {
		if err != nil && !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
