package sessiontest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"vibesdk-gcp/platform/session"
)

var quiet = slog.New(slog.DiscardHandler)

func put(id, state string) session.Mutation {
	return session.Mutation{ID: id, Kind: session.Put, Payload: []byte(state)}
}

// scripted answers commits with the errors of a script, one each, and then as the driver does.
type scripted struct {
	session.Driver
	mu     sync.Mutex
	script []error
}

func (s *scripted) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	s.mu.Lock()
	var err error
	if len(s.script) > 0 {
		err, s.script = s.script[0], s.script[1:]
	}
	s.mu.Unlock()
	switch {
	case err == nil:
		return s.Driver.Commit(ctx, next)
	case err.Error() == "panic":
		panic("in the driver")
	}
	return nil, err
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	d := &scripted{Driver: newMemory(""), script: []error{nil, session.ErrConflict, errors.New("down")}}
	s := session.NewStore(d, session.Options{Logger: quiet, MeterProvider: provider})
	none := int64(7)
	for _, m := range []session.Mutation{put("a", "1"), put("b", "2"), put("a", "1"), put("a", "2"), put("", "1"), {ID: "c", Kind: session.Put, Expected: &none, Payload: []byte("1")}} {
		if _, err := s.Apply(t.Context(), "s", []session.Mutation{m}); err != nil {
			t.Fatal(err)
		}
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range data.ScopeMetrics[0].Metrics {
		sum, ok := m.Data.(metricdata.Sum[int64])
		if !ok {
			continue
		}
		for _, p := range sum.DataPoints {
			outcome, _ := p.Attributes.Value("outcome")
			name := m.Name + " " + outcome.AsString()
			if duplicate, ok := p.Attributes.Value(attribute.Key("duplicate")); ok && duplicate.AsBool() {
				name += " again"
			}
			got[name] = p.Value
		}
	}
	want := map[string]int64{
		"session.commits stored": 3, "session.commits conflict": 1, "session.commits unknown": 1,
		"session.mutations applied": 2, "session.mutations applied again": 1, "session.mutations reused again": 1,
		"session.mutations invalid": 1, "session.mutations conflict": 1,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted\n%v, want\n%v", got, want)
	}
}

// TestCommitsAreSpans follows a mutation's trace into the commit that decided it.
func TestCommitsAreSpans(t *testing.T) {
	t.Parallel()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	d := &scripted{Driver: newMemory(""), script: []error{session.ErrConflict}}
	s := session.NewStore(d, session.Options{Logger: quiet, TracerProvider: provider})
	ctx, caller := provider.Tracer("test").Start(t.Context(), "caller")
	if _, err := s.Apply(ctx, "secret-session", []session.Mutation{put("a", `"secret-state"`), put("b", "2")}); err != nil {
		t.Fatal(err)
	}
	caller.End()
	spans := exporter.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want two commits and the caller", len(spans))
	}
	for i, failed := range []bool{true, false} {
		span := spans[i]
		if span.Name != "commit session" || span.Parent.SpanID() != caller.SpanContext().SpanID() || len(span.Links) > 0 {
			t.Errorf("span %d is %s with parent %s and links %v", i, span.Name, span.Parent.SpanID(), span.Links)
		}
		if (span.Status.Code == codes.Error) != failed {
			t.Errorf("span %d has the status %v", i, span.Status)
		}
		if text := fmt.Sprint(span.Attributes); strings.Contains(text, "secret") || !slices.Contains(span.Attributes, attribute.Int("session.mutations", 2)) {
			t.Errorf("span %d has the attributes %v", i, span.Attributes)
		}
	}
}

// TestCommitsLinkAllTheirCallers holds a commit back until two more callers wait for the next one.
func TestCommitsLinkAllTheirCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exporter := tracetest.NewInMemoryExporter()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
		gate := make(chan struct{})
		s := session.NewStore(&gated{Driver: newMemory(""), gate: gate}, session.Options{Logger: quiet, TracerProvider: provider})
		var callers []trace.SpanContext
		for _, id := range []string{"a", "b", "c"} {
			ctx, span := provider.Tracer("test").Start(t.Context(), "caller")
			callers = append(callers, span.SpanContext())
			go func() {
				if _, err := s.Apply(ctx, "s", []session.Mutation{put(id, "1")}); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait() // the first is at the gate, the others wait behind it
		}
		close(gate)
		synctest.Wait()
		spans := exporter.GetSpans()
		if len(spans) != 2 {
			t.Fatalf("%d commits, want the first caller's and that of the other two", len(spans))
		}
		if len(spans[0].Links) != 0 || spans[0].Parent.SpanID() != callers[0].SpanID() {
			t.Errorf("the first commit has the parent %s and the links %v", spans[0].Parent.SpanID(), spans[0].Links)
		}
		if links := spans[1].Links; len(links) != 1 || links[0].SpanContext.SpanID() != callers[2].SpanID() || spans[1].Parent.SpanID() != callers[1].SpanID() {
			t.Errorf("the second commit has the parent %s and the links %v", spans[1].Parent.SpanID(), links)
		}
	})
}

// gated holds every commit until the gate is open.
type gated struct {
	session.Driver

	gate chan struct{}
}

func (g *gated) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	<-g.gate
	return g.Driver.Commit(ctx, next)
}

func TestPanicIsAnErrorOfItsCallers(t *testing.T) {
	t.Parallel()
	s := session.NewStore(&scripted{Driver: newMemory(""), script: []error{errors.New("panic")}}, session.Options{Logger: quiet})
	if _, err := s.Apply(t.Context(), "s", []session.Mutation{put("a", "1")}); err == nil {
		t.Error("a panic was no error")
	}
	if o, err := s.Apply(t.Context(), "s", []session.Mutation{put("a", "1")}); err != nil || o[0].Err != nil {
		t.Errorf("after a panic: %+v, %v", o, err)
	}
}

func TestRejectionThatCannotBeStoredIsAnError(t *testing.T) {
	t.Parallel()
	tooLarge := fmt.Errorf("%w: full", session.ErrTooLarge)
	s := session.NewStore(&scripted{Driver: newMemory(""), script: []error{tooLarge, tooLarge, tooLarge}}, session.Options{Logger: quiet})
	if _, err := s.Apply(t.Context(), "s", []session.Mutation{put("a", "1"), put("b", "1")}); !errors.Is(err, session.ErrTooLarge) {
		t.Errorf("a driver that stores nothing: %v", err)
	}
}

func TestListSkipsTheExpired(t *testing.T) {
	t.Parallel()
	now := time.UnixMicro(1_000_000)
	s := session.NewStore(newMemory(""), session.Options{Logger: quiet, TTL: time.Hour, Now: func() time.Time { return now }})
	add := func(from, to int) {
		for i := from; i < to; i++ {
			m := session.Mutation{ID: "m", Kind: session.Schedule, Payload: []byte(`{"callback":"c","delaySeconds":1}`)}
			if o, err := s.Apply(t.Context(), fmt.Sprintf("s%03d", i), []session.Mutation{m}); err != nil || o[0].Err != nil {
				t.Fatal(o, err)
			}
		}
	}
	add(0, 40)
	now = now.Add(2 * time.Hour)
	add(40, 50)
	now = now.Add(30 * time.Minute)
	for _, q := range []session.Query{{}, {DueBy: now}} {
		q.Limit = 7
		heads, err := s.List(t.Context(), q)
		if err != nil || len(heads) != 7 || heads[0].ID != "s040" {
			t.Fatalf("the first page is %+v, %v", heads, err)
		}
		q.After = heads[6].ID
		if !q.DueBy.IsZero() {
			q.AfterTime = heads[6].AlarmAt
		}
		if heads, err = s.List(t.Context(), q); err != nil || len(heads) != 3 {
			t.Fatalf("the last page is %+v, %v", heads, err)
		}
	}
	for _, q := range []session.Query{{}, {Limit: 1001}, {Limit: -1}, {Limit: 1, DueBy: now, ExpiredBy: now}} {
		if _, err := s.List(t.Context(), q); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// TestFollowLooksByItself: with nothing to wake it the interval must do.
func TestFollowLooksByItself(t *testing.T) {
	t.Parallel()
	m := newMemory("")
	s := session.NewStore(m, session.Options{Logger: quiet})
	if _, err := s.Apply(t.Context(), "s", []session.Mutation{put("begin", "0")}); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	last := int64(0)
	err := session.Follow(t.Context(), m, "s", nil, nil, time.Millisecond, func(r *session.Record) error {
		if r.Commit != last+1 {
			t.Errorf("commit %d after %d", r.Commit, last)
		}
		if last = r.Commit; last == 3 {
			return enough
		}
		_, err := s.Apply(t.Context(), "s", []session.Mutation{put(fmt.Sprint(last), "1")})
		return err
	})
	if !errors.Is(err, enough) || last != 3 {
		t.Errorf("ended at commit %d with %v", last, err)
	}
}

// TestNothingRunsOn: when no call is under way neither is a goroutine.
func TestNothingRunsOn(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := session.NewStore(newMemory(""), session.Options{Logger: quiet})
	for i := range 20 {
		if _, err := s.Apply(t.Context(), fmt.Sprint(i), []session.Mutation{put("a", "1")}); err != nil {
			t.Fatal(err)
		}
	}
	for range s.Watch(t.Context(), "3", 0) {
		break
	}
	if _, err := s.Wait(t.Context(), "4", "a"); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}

// tagging gives every record that it hands out a tag and expects it back with the next commit.
type tagging struct {
	*memory
	t *testing.T
}

func (d tagging) tag(r *session.Record, err error) (*session.Record, error) {
	if err != nil {
		return nil, err
	}
	tagged := *r
	tagged.Tag = fmt.Sprint("tag of commit ", r.Commit)
	return &tagged, nil
}

func (d tagging) Load(ctx context.Context, id string, known *session.Record) (*session.Record, error) {
	return d.tag(d.memory.Load(ctx, id, known))
}

func (d tagging) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	want := ""
	if next.Commit > 1 {
		want = fmt.Sprint("tag of commit ", next.Commit-1)
	}
	if next.Tag != want {
		d.t.Errorf("commit %d came with the tag %q, want %q", next.Commit, next.Tag, want)
	}
	return d.tag(d.memory.Commit(ctx, next))
}

func TestTagsTravelWithTheRecord(t *testing.T) {
	t.Parallel()
	d := tagging{newMemory(""), t}
	now := time.UnixMicro(1)
	o := session.Options{Logger: quiet, TTL: time.Hour, Now: func() time.Time { return now }}
	cached := session.NewStore(d, o)
	o.CacheBytes = -1
	uncached := session.NewStore(d, o)
	source := session.Mutation{ID: "source", Kind: session.Initialize, Payload: []byte("1")}
	for i, s := range []*session.Store{cached, cached, uncached, uncached, cached} {
		if _, err := s.Apply(t.Context(), "s", []session.Mutation{put(fmt.Sprint(i), "1")}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Duration(i) * 20 * time.Minute) // at last it is expired
	}
	for id, m := range map[string]session.Mutation{"source": source, "copy": {ID: "copy", Kind: session.Clone, CloneOf: "source"}} {
		if _, err := cached.Apply(t.Context(), id, []session.Mutation{m}); err != nil {
			t.Fatal(err)
		}
	}
}
