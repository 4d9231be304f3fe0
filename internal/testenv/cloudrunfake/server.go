package cloudrunfake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"golang.org/x/time/rate"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Options say how the fake behaves. The zero value of each field is what is named beside it.
type Options struct {
	// Project and Location are the only ones that exist. Default to "fake-project" and "local1".
	Project, Location string
	// Programs maps an image to the program that is its entrypoint.
	Programs map[string]string
	// Run, if it is set, is what every container runs, in place of Programs.
	Run func(ctx context.Context, c Container) (exitCode int)
	// Dir is where containers have their working directories. Defaults to a new temporary folder, removed by Close.
	Dir string
	// OperationLatency is how long every change takes after it was accepted; StartLatency how long a container takes to be
	// started. Both default to 0.
	OperationLatency, StartLatency time.Duration
	// Grace is the time between SIGTERM and SIGKILL. Defaults to 10 s.
	Grace time.Duration
	// StartTimeout is how long a container may take to listen. Defaults to 4 min.
	StartTimeout time.Duration
	// IdleAfter is how long an instance without requests goes on. Defaults to 15 min.
	IdleAfter time.Duration
	Quotas    Quotas
	// Output gets what containers print. Defaults to nowhere.
	Output func(c Container, text []byte)
	// Logger defaults to a silent one.
	Logger *slog.Logger
}

// Quotas are the limits of a project in a region. A zero field is the value named beside it.
type Quotas struct {
	Services          int // 1000
	Jobs              int // 1000
	Instances         int // 1000
	RunningExecutions int // 1000
	KeptExecutions    int // 1000 of each job
	// WritesPerSecond is the rate of calls that change something. Defaults to no limit.
	WritesPerSecond float64
}

// Server is the fake. It is safe for concurrent use.
type Server struct {
	o       Options
	parent  string
	grpc    *grpc.Server
	address string
	ownDir  bool
	writes  *rate.Limiter
	starter *starter

	ctx     context.Context // ends with the server
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu         sync.Mutex
	changes    int64 // numbers etags and names
	jobs       map[string]*runpb.Job
	executions map[string]*execution
	endpoints  map[string]*endpoint
	operations map[string]*longrunningpb.Operation
	oldOps     []string
	faults     []*fault
	calls      []string
	peak       int
	held       chan struct{} // closed when operations may go on; nil when they are not held
}

// New starts a server on a free port of the loopback interface.
func New(o Options) (*Server, error) {
	o.complete()
	s := &Server{
		o: o, parent: "projects/" + o.Project + "/locations/" + o.Location, writes: rate.NewLimiter(rate.Inf, 1),
		jobs: map[string]*runpb.Job{}, executions: map[string]*execution{}, endpoints: map[string]*endpoint{},
		operations: map[string]*longrunningpb.Operation{},
	}
	if o.Quotas.WritesPerSecond > 0 {
		s.writes = rate.NewLimiter(rate.Limit(o.Quotas.WritesPerSecond), max(1, int(o.Quotas.WritesPerSecond)))
	}
	if s.o.Dir == "" {
		dir, err := os.MkdirTemp("", "cloudrunfake-")
		if err != nil {
			return nil, err
		}
		s.o.Dir, s.ownDir = dir, true
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	listener, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, s.removeDir())
	}
	s.address = listener.Addr().String()
	s.starter = newStarter()
	s.grpc = grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	runpb.RegisterJobsServer(s.grpc, jobsServer{s: s})
	runpb.RegisterExecutionsServer(s.grpc, executionsServer{s: s})
	runpb.RegisterServicesServer(s.grpc, servicesServer{s: s})
	runpb.RegisterInstancesServer(s.grpc, instancesServer{s: s})
	longrunningpb.RegisterOperationsServer(s.grpc, operationsServer{s: s})
	s.running.Go(func() {
		if err := s.grpc.Serve(listener); err != nil {
			s.o.Logger.Error("the fake stopped serving", "error", err)
		}
	})
	return s, nil
}

func (o *Options) complete() {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	text(&o.Project, "fake-project")
	text(&o.Location, "local1")
	for field, value := range map[*time.Duration]time.Duration{
		&o.Grace: 10 * time.Second, &o.StartTimeout: 4 * time.Minute, &o.IdleAfter: 15 * time.Minute,
	} {
		if *field == 0 {
			*field = value
		}
	}
	q := &o.Quotas
	for _, field := range []*int{&q.Services, &q.Jobs, &q.Instances, &q.RunningExecutions, &q.KeptExecutions} {
		if *field == 0 {
			*field = 1000
		}
	}
	if o.Output == nil {
		o.Output = func(Container, []byte) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Close ends every container and the server.
func (s *Server) Close() error {
	s.cancel()
	s.grpc.Stop()
	s.mu.Lock()
	for _, e := range s.endpoints {
		e.front.close()
	}
	s.mu.Unlock()
	s.running.Wait()
	s.starter.close()
	return s.removeDir()
}

func (s *Server) removeDir() error {
	if !s.ownDir {
		return nil
	}
	return os.RemoveAll(s.o.Dir)
}

// Parent is projects/…/locations/….
func (s *Server) Parent() string { return s.parent }

// Address is host:port of the API.
func (s *Server) Address() string { return s.address }

// ClientOptions make a client of cloud.google.com/go/run/apiv2 talk to this server.
func (s *Server) ClientOptions() []option.ClientOption { return ClientOptions(s.address) }

// ClientOptions are those of [Server.ClientOptions] for a server of another process, at host:port.
func ClientOptions(address string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(address), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// Job is a job as the sandboxes need it: one container of the image, without retries. It is made if it is not there.
func (s *Server) Job(id, image string, args ...string) error {
	job := &runpb.Job{Template: &runpb.ExecutionTemplate{Template: &runpb.TaskTemplate{
		Containers: []*runpb.Container{{Image: image, Args: args}},
		Retries:    &runpb.TaskTemplate_MaxRetries{MaxRetries: 0},
	}}}
	_, err := jobsServer{s: s}.CreateJob(s.ctx, &runpb.CreateJobRequest{Parent: s.parent, Job: job, JobId: id})
	if err != nil && !isExists(err) {
		return fmt.Errorf("job %s: %w", id, err)
	}
	return nil
}

// next numbers changes. The caller holds mu.
func (s *Server) next() int64 {
	s.changes++
	return s.changes
}

func (s *Server) etag() string { return `"` + strconv.FormatInt(s.next(), 36) + `"` }

// Hold keeps what calls ask for from now on from being done, for tests that look at operations under way: resources go on
// to reconcile, and what is deleted is there. The function it returns lets all of it go on.
func (s *Server) Hold() (release func()) {
	held := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held == held {
			s.held = nil
		}
		close(held)
	})
}

// operate does what a call asked for after the latency of operations and more, when they are not held. The caller holds mu.
func (s *Server) operate(more time.Duration, fn func()) {
	held := s.held
	s.later(s.o.OperationLatency+more, func() {
		if held != nil {
			select {
			case <-held:
			case <-s.ctx.Done():
				return
			}
		}
		fn()
	})
}

// later runs fn after a while, unless the server ends first.
func (s *Server) later(d time.Duration, fn func()) {
	s.running.Go(func() {
		if d > 0 {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-s.ctx.Done():
				return
			}
		}
		fn()
	})
}
