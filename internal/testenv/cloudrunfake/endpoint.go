package cloudrunfake

import (
	"slices"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// endpoint is a resource with a URL: a service or an instance. Both have one name space.
type endpoint struct {
	kind     *endpointKind
	resource proto.Message // a *runpb.Service or a *runpb.Instance
	front    *front
	// stopped says that an instance was told to end.
	stopped bool
}

// endpointKind is how services and instances differ.
type endpointKind struct {
	collection, idField string
	// quota is the name of the one that bounds how many there are.
	quota string
	limit func(Quotas) int
	// starting and failed are what the condition says.
	starting, failed string
	reason           *runpb.Condition_RevisionReason_
}

var (
	serviceKind = &endpointKind{
		collection: "services", idField: "service_id", quota: "Services", limit: func(q Quotas) int { return q.Services },
		starting: "Deploying Revision.", failed: "Revision is not ready and cannot serve traffic. ",
		reason: &runpb.Condition_RevisionReason_{RevisionReason: runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR},
	}
	instanceKind = &endpointKind{
		collection: "instances", idField: "instance_id", quota: "Instances", limit: func(q Quotas) int { return q.Instances },
		starting: "Starting the instance.", failed: "Instance is not ready and cannot serve traffic. ",
	}
)

// endpointState is the fields that Cloud Run keeps about both.
type endpointState struct {
	name, uid, etag           *string
	generation, observed      *int64
	created, updated, deleted **timestamppb.Timestamp
	reconciling               *bool
	condition                 **runpb.Condition
	urls                      *[]string
}

func (e *endpoint) state() endpointState {
	if v, ok := e.resource.(*runpb.Service); ok {
		return endpointState{
			&v.Name, &v.Uid, &v.Etag, &v.Generation, &v.ObservedGeneration, &v.CreateTime, &v.UpdateTime, &v.DeleteTime,
			&v.Reconciling, &v.TerminalCondition, &v.Urls,
		}
	}
	v := e.resource.(*runpb.Instance)
	return endpointState{
		&v.Name, &v.Uid, &v.Etag, &v.Generation, &v.ObservedGeneration, &v.CreateTime, &v.UpdateTime, &v.DeleteTime,
		&v.Reconciling, &v.TerminalCondition, &v.Urls,
	}
}

// newEndpoint is what a request asks for.
type newEndpoint struct {
	parent, id   string
	resource     proto.Message
	validateOnly bool
	container    Container
	// public and keep are those of its front.
	public, keep bool
}

// create makes an endpoint and begins to start it.
func (s *Server) create(kind *endpointKind, n newEndpoint) (*longrunningpb.Operation, error) {
	if err := s.checkParent(n.parent); err != nil {
		return nil, err
	}
	if err := checkID(kind.idField, n.id, 50); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.parent + "/" + kind.collection + "/" + n.id
	if s.endpoints[n.id] != nil {
		return nil, exists(name)
	}
	if limit := kind.limit(s.o.Quotas); s.count(kind) >= limit {
		return nil, exhausted(kind.quota, limit)
	}
	made := &endpoint{kind: kind, resource: proto.Clone(n.resource)}
	if n.validateOnly {
		return s.done(made.resource), nil
	}
	n.container.Resource = n.id
	var err error
	if made.front, err = newFront(s, n.container, n.public, n.keep); err != nil {
		return nil, err
	}
	state := made.state()
	*state.name, *state.uid, *state.generation, *state.created = name, uuid.NewString(), 1, timestamppb.Now()
	*state.urls = []string{made.front.url()}
	if v, ok := made.resource.(*runpb.Service); ok {
		v.Uri = made.front.url()
	}
	s.endpoints[n.id] = made
	s.peak = max(s.peak, len(s.endpoints))
	return s.deploy(made), nil
}

// count is how many of a kind there are. The caller holds mu.
func (s *Server) count(kind *endpointKind) (n int) {
	for _, e := range s.endpoints {
		if e.kind == kind {
			n++
		}
	}
	return n
}

// deploy starts the container and says in the resource how that went. The caller holds mu.
func (s *Server) deploy(e *endpoint) *longrunningpb.Operation {
	e.stopped = false
	state := e.state()
	*state.reconciling, *state.updated, *state.etag = true, timestamppb.Now(), s.etag()
	*state.condition = condition("Ready", runpb.Condition_CONDITION_RECONCILING, e.kind.starting)
	op := s.begin(e.resource)
	generation := *state.generation
	s.operate(s.o.StartLatency, func() {
		a := e.front.start()
		<-a.ready
		e.front.enter() // begins the time of idleness
		e.front.leave()
		s.mu.Lock()
		defer s.mu.Unlock()
		state := e.state()
		if *state.generation != generation || *state.deleted != nil || e.stopped {
			s.finish(op.Name, e.resource, nil)
			return
		}
		var err error
		*state.condition = condition("Ready", runpb.Condition_CONDITION_SUCCEEDED, "")
		if a.err != nil {
			*state.condition, err = failure("Ready", e.kind.failed+a.err.Error())
			if e.kind.reason != nil {
				(*state.condition).Reasons = e.kind.reason
			}
		}
		*state.reconciling, *state.observed, *state.updated, *state.etag = false, generation, timestamppb.Now(), s.etag()
		s.finish(op.Name, e.resource, err)
	})
	return op
}

// endpoint finds one by name. The caller holds mu.
func (s *Server) endpoint(kind *endpointKind, name string) (*endpoint, error) {
	id, err := s.id(name, kind.collection)
	if err != nil {
		return nil, err
	}
	if e := s.endpoints[id]; e != nil && e.kind == kind {
		return e, nil
	}
	return nil, notFound(name)
}

// seen is an endpoint that is as a caller saw it, when the etag that was given is the present one. The caller holds mu.
func (s *Server) seen(kind *endpointKind, name, etag string) (*endpoint, error) {
	e, err := s.endpoint(kind, name)
	if err != nil {
		return nil, err
	}
	state := e.state()
	return e, checkEtag(etag, *state.etag, *state.name)
}

// remove begins to delete an endpoint.
func (s *Server) remove(kind *endpointKind, name, etag string, validateOnly bool) (*longrunningpb.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.seen(kind, name, etag)
	if err != nil {
		return nil, err
	}
	if validateOnly {
		return s.done(found.resource), nil
	}
	op := s.begin(found.resource)
	if state := found.state(); *state.deleted == nil {
		*state.deleted, *state.etag = timestamppb.Now(), s.etag()
	}
	s.operate(0, func() {
		found.front.end()
		s.mu.Lock()
		defer s.mu.Unlock()
		if id := lastPart(*found.state().name); s.endpoints[id] == found {
			delete(s.endpoints, id)
		}
		s.finish(op.Name, found.resource, nil)
	})
	return op, nil
}

// list returns copies of the resources of a type, newest first.
func list[T interface {
	proto.Message
	resource
}](s *Server) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []T
	for _, e := range s.endpoints {
		if v, ok := e.resource.(T); ok {
			all = append(all, proto.CloneOf(v))
		}
	}
	return slices.Clip(newestFirst(all))
}

// PeakEndpoints is the most services and instances that there ever were at one time.
func (s *Server) PeakEndpoints() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak
}

// Kill ends the container of a service or an instance, as the loss of its machine does.
func (s *Server) Kill(id string) {
	if f := s.frontOf(id); f != nil {
		f.kill(false)
	}
}

// Starts counts the containers that were started for a service or an instance.
func (s *Server) Starts(id string) int {
	f := s.frontOf(id)
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts
}

func (s *Server) frontOf(id string) *front {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.endpoints[id]; e != nil {
		return e.front
	}
	return nil
}
