package schedulerfake

import (
	"context"
	"path"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fault is one call that fails.
type fault struct {
	method string
	code   codes.Code
	after  bool
}

// Fail makes the next call of a method, like CreateJob, fail with code: before its effect, or after it, as when the answer was lost.
func (s *Server) Fail(method string, code codes.Code, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fault{method, code, after})
}

func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	s.mu.Lock()
	if !strings.HasPrefix(method, "List") && !strings.HasPrefix(method, "Get") {
		s.calls = append(s.calls, method+" "+path.Base(nameOf(req)))
	}
	var hit *fault
	if i := slices.IndexFunc(s.faults, func(f fault) bool { return f.method == method }); i >= 0 {
		hit = &fault{}
		*hit = s.faults[i]
		s.faults = slices.Delete(s.faults, i, i+1)
	}
	s.mu.Unlock()
	if hit != nil && !hit.after {
		return nil, grpcstatus.Error(hit.code, "injected, before the effect")
	}
	answer, err := handle(ctx, req)
	if hit != nil && err == nil {
		return nil, grpcstatus.Error(hit.code, "injected, after the effect")
	}
	return answer, err
}

// nameOf is the name of the job that a request is about.
func nameOf(req any) string {
	if named, ok := req.(interface{ GetName() string }); ok {
		return named.GetName()
	}
	m, ok := req.(protoreflect.ProtoMessage)
	if !ok {
		return ""
	}
	field := m.ProtoReflect().Descriptor().Fields().ByName("job")
	if field == nil {
		return ""
	}
	job := m.ProtoReflect().Get(field).Message()
	return job.Get(job.Descriptor().Fields().ByName("name")).String()
}
