package events

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// script is a driver that hands out what a test prepares and records what the bus says. The drivers themselves
// are tested by eventstest.
type script struct {
	runs       [][]Message
	publishErr error
	failFirst  int // calls of Receive that fail
	receive    func(ctx context.Context, handle HandleFunc) error

	mu        sync.Mutex
	published map[string][]Message
	verdicts  [][]Verdict
	received  int
}

func (s *script) Publish(_ context.Context, topic Topic, msgs []Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publishErr != nil {
		return s.publishErr
	}
	if s.published == nil {
		s.published = map[string][]Message{}
	}
	s.published[topic.Name] = append(s.published[topic.Name], msgs...)
	return nil
}

func (s *script) Receive(ctx context.Context, _ Subscription, handle HandleFunc) error {
	if s.received++; s.received <= s.failFirst {
		return errTest
	}
	if s.receive != nil {
		return s.receive(ctx, handle)
	}
	for _, run := range s.runs {
		s.verdicts = append(s.verdicts, handle(run))
	}
	<-ctx.Done()
	return nil
}

func (s *script) Close() error { return nil }

// play consumes the scripted runs and returns the verdicts.
func play(t *testing.T, s *script, o Options, consume func(ctx context.Context, b *Bus) error) [][]Verdict {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.receive = func(_ context.Context, handle HandleFunc) error {
		for _, run := range s.runs {
			s.verdicts = append(s.verdicts, handle(run))
		}
		cancel()
		return nil
	}
	if err := consume(ctx, New(s, o)); err != nil {
		t.Fatalf("consume: %v", err)
	}
	return s.verdicts
}

var orderedSub = Subscription{Name: "sub", Topic: Topic{Name: "topic", Type: "t.v1", Ordered: true}, Attempts: 3}

func deliveries(ids ...string) []Message {
	var run []Message
	for _, id := range ids {
		run = append(run, Message{ID: id, Key: "k", Attempt: 1})
	}
	return run
}

func TestLaterMessagesOfAKeyWaitForAFailedOne(t *testing.T) {
	t.Parallel()
	s := &script{runs: [][]Message{deliveries("ok", "fails", "later")}}
	var seen []string
	verdicts := play(t, s, Options{}, func(ctx context.Context, b *Bus) error {
		return b.Consume(ctx, orderedSub, func(_ context.Context, m Message) error {
			seen = append(seen, m.ID)
			if m.ID == "fails" {
				return RetryAfter(time.Second, "later")
			}
			return nil
		})
	})
	if diff := cmp.Diff([][]Verdict{{{Done: true}, {After: time.Second}}}, verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ok", "fails"}, seen); diff != "" {
		t.Errorf("handled (-want +got):\n%s", diff)
	}
}

func TestDeadLetterThatCannotBePublishedIsRetriedUncounted(t *testing.T) {
	t.Parallel()
	s := &script{runs: [][]Message{deliveries("m", "later")}, publishErr: errors.New("broker away")}
	verdicts := play(t, s, Options{}, func(ctx context.Context, b *Bus) error {
		return b.Consume(ctx, orderedSub, func(_ context.Context, m Message) error {
			if m.ID == "later" {
				t.Error("the next message of the key was handled")
			}
			return Permanent(errTest)
		})
	})
	if diff := cmp.Diff([][]Verdict{{{After: parkRetry}}}, verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestMessageThatKilledItsConsumerIsParkedUnhandled(t *testing.T) {
	t.Parallel()
	run := deliveries("killer")
	run[0].Attempt = orderedSub.Attempts + 1
	s := &script{runs: [][]Message{run}}
	play(t, s, Options{}, func(ctx context.Context, b *Bus) error {
		return b.Consume(ctx, orderedSub, func(context.Context, Message) error {
			t.Error("it was handled once more")
			return nil
		})
	})
	letters := s.published[DeadLetters.Name]
	if len(letters) != 1 || !strings.Contains(letters[0].Attributes[deadReason], "without an outcome in attempt 3") {
		t.Errorf("dead letters: %+v", letters)
	}
}

func TestPayloadsThatBreakTheSchemaNeverReachTheHandler(t *testing.T) {
	t.Parallel()
	sub := orderedSub
	sub.Topic.Validate = func(data []byte) error {
		if string(data) == "bad" {
			return errTest
		}
		return nil
	}
	run := deliveries("a", "b", "c", "d")
	run[1].Data, run[2].Data = []byte("bad"), []byte("bad")
	s := &script{runs: [][]Message{run}}
	var seen []string
	verdicts := play(t, s, Options{}, func(ctx context.Context, b *Bus) error {
		return b.ConsumeBatches(ctx, sub, func(_ context.Context, _ string, run []Message) error {
			for _, m := range run {
				seen = append(seen, m.ID)
			}
			return nil
		})
	})
	done := Verdict{Done: true}
	if diff := cmp.Diff([][]Verdict{{done, done, done, done}}, verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "d"}, seen); diff != "" {
		t.Errorf("handled (-want +got):\n%s", diff)
	}
	if got := len(s.published[DeadLetters.Name]); got != 2 {
		t.Errorf("%d dead letters, want 2", got)
	}
	if err := New(s, Options{}).Publish(context.Background(), sub.Topic, run[1]); !errors.Is(err, ErrInvalid) {
		t.Errorf("Publish: got %v, want ErrInvalid", err)
	}
}

func TestRecovered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler func()
		want    string
	}{
		"value": {func() { panic("boom") }, "panic: boom"},
		"error": {func() { panic(errTest) }, "panic: test failure"},
		"nil": {func() { panic(nil) }, //nolint:govet // on purpose
			"panic: panic called with nil argument"},
		"memory": {func() { var m *Message; _ = m.ID }, //nolint:govet // on purpose
			"panic: runtime error: invalid memory address or nil pointer dereference"},
		"exit": {runtime.Goexit, ErrExit.Error()},
	} {
		err := recovered(nil, func(context.Context, []Message) error { c.handler(); return nil })(context.Background(), nil)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if p, ok := errors.AsType[*PanicError](err); ok {
			first, _, _ := strings.Cut(p.Stack, "\n")
			if !strings.Contains(first, "TestRecovered") || !strings.Contains(first, "bus_test.go:") {
				t.Errorf("%s: the stack begins with %q", name, first)
			}
		}
		if name == "error" && !errors.Is(err, errTest) {
			t.Errorf("%s: the panic's error is not wrapped", name)
		}
	}
}

func TestAttemptHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := deadlined(30*time.Second, func(ctx context.Context, _ []Message) error {
			<-ctx.Done()
			return ctx.Err()
		})
		start := time.Now()
		err := h(context.Background(), nil)
		if !errors.Is(err, ErrAttemptTimeout) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("after %s: got %v, want ErrAttemptTimeout after 30s", time.Since(start), err)
		}
	})
}

// TestDrain stops while a handler runs, obedient or not.
func TestDrain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler func(ctx context.Context, stuck <-chan struct{}) error
		took    time.Duration
		verdict Verdict
	}{
		"finishes": {func(ctx context.Context, _ <-chan struct{}) error {
			time.Sleep(5 * time.Second)
			return ctx.Err()
		}, 5 * time.Second, Verdict{Done: true}},
		"obeys": {func(ctx context.Context, _ <-chan struct{}) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, 8 * time.Second, Verdict{}},
		"ignores": {func(_ context.Context, stuck <-chan struct{}) error {
			<-stuck
			return nil
		}, 9 * time.Second, Verdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				stuck := make(chan struct{})
				var got []Verdict
				s := &script{receive: func(_ context.Context, handle HandleFunc) error {
					got = handle(deliveries("m"))
					return nil
				}}
				sub := orderedSub
				sub.AttemptTimeout = time.Hour
				start := time.Now()
				time.AfterFunc(time.Second, cancel)
				err := New(s, Options{Logger: slog.New(slog.DiscardHandler)}).Consume(ctx, sub, func(ctx context.Context, _ Message) error {
					<-time.After(time.Second) // until Consume's context ended
					return c.handler(ctx, stuck)
				})
				if err != nil {
					t.Errorf("Consume: %v", err)
				}
				if diff := cmp.Diff([]Verdict{c.verdict}, got); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
				if took := time.Since(start) - time.Second; took != c.took {
					t.Errorf("Consume returned %s after its context ended, want %s", took, c.took)
				}
				close(stuck)
				synctest.Wait()
			})
		})
	}
}

func TestConsumeTriesAFailingBrokerAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{failFirst: 5}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := New(s, Options{Logger: slog.New(slog.DiscardHandler)}).Consume(ctx, orderedSub, nil); err != nil {
			t.Errorf("Consume: %v", err)
		}
		if s.received != 6 {
			t.Errorf("Receive was called %d times, want 6", s.received)
		}
	})
}

func TestTracesMetricsAndLogs(t *testing.T) {
	t.Parallel()
	exporter, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	var log bytes.Buffer
	o := Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		Logger:         slog.New(slog.NewTextHandler(&log, nil)),
	}
	s := &script{}
	mine := map[string]string{"mine": "secret-attribute"}
	if err := New(s, o).Publish(context.Background(), orderedSub.Topic,
		Message{ID: "good", Key: "k", Attributes: mine, Data: []byte("secret-data")}, Message{ID: "bad", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if len(mine) != 1 {
		t.Errorf("the publisher's attributes were changed: %v", mine)
	}
	s.runs = [][]Message{s.published["topic"]}
	for i := range s.runs[0] {
		s.runs[0][i].Attempt = i + 1
	}
	play(t, s, o, func(ctx context.Context, b *Bus) error {
		return b.Consume(ctx, orderedSub, func(ctx context.Context, m Message) error {
			if !trace.SpanContextFromContext(ctx).IsValid() {
				t.Error("the handler has no span")
			}
			if m.ID == "bad" {
				return Permanent(errTest)
			}
			return nil
		})
	})

	var publish tracetest.SpanStub
	for _, span := range exporter.GetSpans() {
		switch span.Name {
		case "publish topic":
			publish = span
		case "process sub":
			if len(span.Links) != 1 || span.Links[0].SpanContext.SpanID() != publish.SpanContext.SpanID() {
				t.Errorf("span %s has links %v, want one to the publisher's", span.Name, span.Links)
			}
		default:
			t.Errorf("unexpected span %s", span.Name)
		}
	}

	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &metrics); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, point := range sum.DataPoints {
				outcome, _ := point.Attributes.Value("outcome")
				counts[m.Name+" "+outcome.AsString()] += point.Value
			}
		}
		if histogram, ok := m.Data.(metricdata.Histogram[int64]); ok {
			for _, point := range histogram.DataPoints {
				counts[m.Name] += point.Sum
			}
		}
	}
	want := map[string]int64{"events.published accepted": 2, "events.settled handled": 1, "events.settled parked": 1, "events.attempts": 1 + 2}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}

	if text := log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "message_id=bad") ||
		strings.Contains(text, "good") || strings.Contains(text, "secret") {
		t.Errorf("log, want one error record about bad and no payload:\n%s", text)
	}
}

func TestTopicTable(t *testing.T) {
	t.Parallel()
	topics, subs := map[string]bool{}, map[string]bool{}
	for _, topic := range Topics() {
		if topics[topic.Name] || topic.Name == "" || topic.Type == "" {
			t.Errorf("topic %q: name and type must be set, the name once", topic.Name)
		}
		topics[topic.Name] = true
		if (topic.Schema == "") != (topic.Validate == nil) {
			t.Errorf("topic %s: schema and validate come together", topic.Name)
		}
	}
	for _, sub := range Subscriptions() {
		if subs[sub.Name] || !topics[sub.Topic.Name] {
			t.Errorf("subscription %q: named twice, or its topic is not in the table", sub.Name)
		}
		subs[sub.Name] = true
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	h := Decode(func(data []byte) (int, error) {
		if len(data) == 0 {
			return 0, errTest
		}
		return len(data), nil
	}, func(_ context.Context, m Message, n int) error {
		if n != len(m.Data) {
			t.Errorf("decoded %d from %d bytes", n, len(m.Data))
		}
		return nil
	})
	if err := h(context.Background(), Message{Data: []byte("abc")}); err != nil {
		t.Error(err)
	}
	if err := h(context.Background(), Message{}); !IsPermanent(err) || !errors.Is(err, errTest) {
		t.Errorf("got %v, want a permanent error", err)
	}
}
