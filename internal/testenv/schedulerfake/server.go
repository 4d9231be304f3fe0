package schedulerfake

import (
	"context"
	"encoding/base64"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxPage is the most jobs of a page, and the default.
const maxPage = 500

// Published is what a job published.
type Published struct {
	Topic string
	Data  string
}

// Server is the fake. It is safe for concurrent use.
type Server struct {
	pb.UnimplementedCloudSchedulerServer

	// Addr is the address it listens on, host:port of the loopback interface.
	Addr string

	mu        sync.Mutex
	jobs      map[string]*pb.Job
	topics    map[string]bool // nil: every topic is there
	published []Published
	faults    []fault
	calls     []string
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: ln.Addr().String(), jobs: map[string]*pb.Job{}}
	server := grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	pb.RegisterCloudSchedulerServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("schedulerfake: %v", err)
		}
	})
	return s
}

// Topics says which topics there are: jobs that publish to others fail. Every topic is there until it is called.
func (s *Server) Topics(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics = map[string]bool{}
	for _, name := range names {
		s.topics[name] = true
	}
}

// Jobs returns copies of all jobs, by name.
func (s *Server) Jobs() map[string]*pb.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]*pb.Job{}
	for name, job := range s.jobs {
		out[name] = proto.CloneOf(job)
	}
	return out
}

// Change changes a job behind everybody's back, as a person in the console does.
func (s *Server) Change(name string, change func(*pb.Job)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.jobs[name])
}

// Remove removes a job behind everybody's back.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, name)
}

// Published returns what jobs published so far.
func (s *Server) Published() []Published {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.published)
}

// Writes returns the calls since the last Writes that could change something, like "CreateJob name".
func (s *Server) Writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// ListJobs implements the API.
func (s *Server) ListJobs(_ context.Context, r *pb.ListJobsRequest) (*pb.ListJobsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int(r.GetPageSize())
	if size <= 0 || size > maxPage {
		size = maxPage
	}
	after, err := base64.URLEncoding.DecodeString(r.GetPageToken())
	if err != nil || len(after) > 0 && !strings.HasPrefix(string(after), r.GetParent()) {
		return nil, grpcstatus.Error(codes.InvalidArgument, "page_token is not one of this list")
	}
	out := &pb.ListJobsResponse{}
	for _, name := range slices.Sorted(maps.Keys(s.jobs)) {
		if !strings.HasPrefix(name, r.GetParent()+"/jobs/") || name <= string(after) {
			continue
		}
		if len(out.Jobs) == size {
			out.NextPageToken = base64.URLEncoding.EncodeToString([]byte(out.Jobs[size-1].GetName()))
			break
		}
		out.Jobs = append(out.Jobs, proto.CloneOf(s.jobs[name]))
	}
	return out, nil
}

// GetJob implements the API.
func (s *Server) GetJob(_ context.Context, r *pb.GetJobRequest) (*pb.Job, error) {
	return s.with(r.GetName(), func(*pb.Job) error { return nil })
}

// CreateJob implements the API.
func (s *Server) CreateJob(_ context.Context, r *pb.CreateJobRequest) (*pb.Job, error) {
	job := complete(r.GetJob())
	if err := check(r.GetParent(), job); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.jobs[job.GetName()]; taken {
		return nil, grpcstatus.Errorf(codes.AlreadyExists, "Job %s already exists.", job.GetName())
	}
	s.jobs[job.GetName()] = job
	return proto.CloneOf(job), nil
}

// UpdateJob implements the API.
func (s *Server) UpdateJob(_ context.Context, r *pb.UpdateJobRequest) (*pb.Job, error) {
	return s.with(r.GetJob().GetName(), func(job *pb.Job) error {
		changed, err := merge(job, r.GetJob(), r.GetUpdateMask().GetPaths())
		if err != nil {
			return err
		}
		parent, _, _ := strings.Cut(job.GetName(), "/jobs/")
		if err := check(parent, changed); err != nil {
			return err
		}
		proto.Reset(job)
		proto.Merge(job, changed)
		return nil
	})
}

// DeleteJob implements the API.
func (s *Server) DeleteJob(_ context.Context, r *pb.DeleteJobRequest) (*emptypb.Empty, error) {
	_, err := s.with(r.GetName(), func(job *pb.Job) error {
		delete(s.jobs, job.GetName())
		return nil
	})
	return &emptypb.Empty{}, err
}

// PauseJob implements the API.
func (s *Server) PauseJob(_ context.Context, r *pb.PauseJobRequest) (*pb.Job, error) {
	return s.turn(r.GetName(), pb.Job_ENABLED, pb.Job_PAUSED)
}

// ResumeJob implements the API.
func (s *Server) ResumeJob(_ context.Context, r *pb.ResumeJobRequest) (*pb.Job, error) {
	return s.turn(r.GetName(), pb.Job_PAUSED, pb.Job_ENABLED)
}

// RunJob implements the API.
func (s *Server) RunJob(_ context.Context, r *pb.RunJobRequest) (*pb.Job, error) {
	return s.with(r.GetName(), func(job *pb.Job) error {
		target := job.GetPubsubTarget()
		job.LastAttemptTime = timestamppb.Now()
		job.Status = &status.Status{}
		if s.topics != nil && !s.topics[target.GetTopicName()] {
			job.Status = &status.Status{Code: int32(codes.NotFound)}
			return nil
		}
		s.published = append(s.published, Published{Topic: target.GetTopicName(), Data: string(target.GetData())})
		return nil
	})
}

func (s *Server) turn(name string, from, to pb.Job_State) (*pb.Job, error) {
	return s.with(name, func(job *pb.Job) error {
		if job.GetState() != from {
			return grpcstatus.Errorf(codes.FailedPrecondition, "Job is %s, it must be %s.", job.GetState(), from)
		}
		job.State = to
		job.ScheduleTime = next(job)
		return nil
	})
}

// with changes one job and returns it as it is then.
func (s *Server) with(name string, change func(*pb.Job) error) (*pb.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job, ok := s.jobs[name]
	if !ok {
		return nil, grpcstatus.Error(codes.NotFound, "Job not found.")
	}
	if err := change(job); err != nil {
		return nil, err
	}
	return proto.CloneOf(job), nil
}

// next is when a job runs by the clock; nil when it does not.
func next(job *pb.Job) *timestamppb.Timestamp {
	if job.GetState() != pb.Job_ENABLED {
		return nil
	}
	cron, zone, err := parse(job.GetSchedule(), job.GetTimeZone())
	if err != nil {
		return nil
	}
	return timestamppb.New(cron.Next(time.Now().In(zone)))
}
