package cloudrunfake

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// FaultKind is how a call goes wrong.
type FaultKind int

// The kinds of faults.
const (
	// Before is an error without effect.
	Before FaultKind = iota + 1
	// After is an error though the call had its effect.
	After
	// Lost is a call that had its effect and whose answer never comes: the caller waits until its deadline.
	Lost
	// Slow is a call that takes longer.
	Slow
)

// Fault is one thing that goes wrong.
type Fault struct {
	// Method is the name of an RPC, as RunJob.
	Method string
	// Nth is which call from now on, 1 for the next; 0 is every one.
	Nth  int
	Kind FaultKind
	// Code is of the error. Defaults to UNAVAILABLE.
	Code codes.Code
	// Latency goes with Slow.
	Latency time.Duration
	// Then, if it is set, is called when the fault strikes: before the effect for Before, else after it.
	Then func()
}

type fault struct {
	Fault
	seen   int
	struck atomic.Bool
}

// Inject lets a call go wrong. The function it returns tells whether that has happened.
func (s *Server) Inject(f Fault) (struck func() bool) {
	if f.Code == codes.OK {
		f.Code = codes.Unavailable
	}
	if f.Then == nil {
		f.Then = func() {}
	}
	added := &fault{Fault: f}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, added)
	return added.struck.Load
}

// Heal forgets the faults that have not struck yet.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Calls lists the methods that were called, in order.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// maxCalls bounds the memory of a server that runs for long.
const maxCalls = 100_000

// strikes returns the fault of this call, nil for none.
func (s *Server) strikes(method string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) < maxCalls {
		s.calls = append(s.calls, method)
	}
	var found *fault
	for _, f := range s.faults {
		if f.Method != method {
			continue
		}
		f.seen++
		if found == nil && (f.Nth == 0 || f.Nth == f.seen) {
			found = f
		}
	}
	return found
}

func changes(method string) bool {
	return !strings.HasPrefix(method, "Get") && !strings.HasPrefix(method, "List") && !strings.HasPrefix(method, "Wait")
}

func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	f := s.strikes(method)
	if f != nil && f.Kind == Before {
		f.struck.Store(true)
		f.Then()
		return nil, status.Errorf(f.Code, "injected: %s fails before it has an effect", method)
	}
	if changes(method) && !s.writes.Allow() {
		return nil, status.Errorf(codes.ResourceExhausted, "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute per region'")
	}
	answer, err := handle(ctx, req)
	if f == nil {
		return answer, err
	}
	f.struck.Store(true)
	f.Then()
	switch f.Kind {
	case After:
		return nil, status.Errorf(f.Code, "injected: %s fails after it had its effect", method)
	case Lost:
		select {
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		return nil, status.FromContextError(ctx.Err()).Err()
	case Slow:
		timer := time.NewTimer(f.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	default: // Before has returned
	}
	return answer, err
}
