package sandbox_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
)

// shelf is a record driver for what no database can be made to do on demand: failing a touch at a given moment. What
// Records does with real storage is in sandboxtest.
type shelf struct {
	sandbox.RecordDriver // nothing else is called

	mu      sync.Mutex
	broken  error
	touched []map[string]time.Time
	created []sandbox.Record
}

func (s *shelf) Touch(_ context.Context, at map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.touched = append(s.touched, maps.Clone(at))
	}
	return s.broken
}

func (s *shelf) Create(_ context.Context, r sandbox.Record, _ sandbox.Spec) error {
	s.created = append(s.created, r)
	return nil
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

func TestTouchesAreStoredEverySecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		records := sandbox.NewRecords(s)
		records.Logger = slog.New(slog.DiscardHandler)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- records.Run(ctx) }()
		time.Sleep(500 * time.Millisecond) // between two ticks, here and after every whole second from here on

		records.Touch("a", epoch)
		records.Touch("a", epoch.Add(2))
		records.Touch("a", epoch.Add(time.Microsecond))
		records.Touch("b", epoch)
		time.Sleep(3 * time.Second) // one batch: nothing new, nothing written
		s.fail(errors.New("database is down"))
		records.Touch("a", epoch.Add(time.Second))
		records.Touch("c", epoch)
		time.Sleep(2 * time.Second)
		records.Touch("a", epoch.Add(500*time.Millisecond)) // older than what waits
		s.fail(nil)
		time.Sleep(1 * time.Second)
		records.Touch("d", epoch)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		records.Touch("e", epoch)
		if err := records.Close(t.Context()); err != nil {
			t.Errorf("Close = %v", err)
		}
		want := []map[string]time.Time{
			{"a": epoch.Add(time.Microsecond), "b": epoch}, {"a": epoch.Add(time.Second), "c": epoch}, {"d": epoch}, {"e": epoch},
		}
		if diff := cmp.Diff(want, s.touched); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestCreateChecks(t *testing.T) {
	t.Parallel()
	good := sandbox.Record{
		ID: sandbox.IDFor("r"), RequestID: "r", State: sandbox.Requested, Fence: 1, Token: "t", ControlToken: "c", CreatedAt: epoch, ExpiresAt: epoch.Add(1),
	}
	for name, c := range map[string]struct {
		spoil func(*sandbox.Record, *sandbox.Spec)
		want  error
	}{
		"good": {func(*sandbox.Record, *sandbox.Spec) {}, nil},
		"failed from the start": {func(r *sandbox.Record, s *sandbox.Spec) {
			r.State, r.Reason, r.Token, *s = sandbox.Failed, "why", "", sandbox.Spec{}
		}, nil},
		"failed without reason":  {func(r *sandbox.Record, _ *sandbox.Spec) { r.State = sandbox.Failed }, sandbox.ErrInvalid},
		"ready from the start":   {func(r *sandbox.Record, _ *sandbox.Spec) { r.State, r.Endpoint = sandbox.Ready, "x" }, sandbox.ErrTransition},
		"no such state":          {func(r *sandbox.Record, _ *sandbox.Spec) { r.State = "x" }, sandbox.ErrTransition},
		"bad spec":               {func(_ *sandbox.Record, s *sandbox.Spec) { s.StaticDir = "" }, sandbox.ErrInvalid},
		"bad id":                 {func(r *sandbox.Record, _ *sandbox.Spec) { r.ID = "../x" }, sandbox.ErrInvalid},
		"no fence":               {func(r *sandbox.Record, _ *sandbox.Spec) { r.Fence = 0 }, sandbox.ErrInvalid},
		"no request":             {func(r *sandbox.Record, _ *sandbox.Spec) { r.RequestID = "" }, sandbox.ErrInvalid},
		"no token":               {func(r *sandbox.Record, _ *sandbox.Spec) { r.Token = "" }, sandbox.ErrInvalid},
		"no control token":       {func(r *sandbox.Record, _ *sandbox.Spec) { r.ControlToken = "" }, sandbox.ErrInvalid},
		"no expiry":              {func(r *sandbox.Record, _ *sandbox.Spec) { r.ExpiresAt = time.Time{} }, sandbox.ErrInvalid},
		"negative time to live":  {func(r *sandbox.Record, _ *sandbox.Spec) { r.TTL = -time.Second }, sandbox.ErrInvalid},
		"request id that breaks": {func(r *sandbox.Record, _ *sandbox.Spec) { r.RequestID = "\x00" }, sandbox.ErrInvalid},
	} {
		r, spec, s := good, goodSpec(), &shelf{}
		c.spoil(&r, &spec)
		if err := sandbox.NewRecords(s).Create(t.Context(), r, spec); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if stored := len(s.created) == 1; stored != (c.want == nil) {
			t.Errorf("%s: stored %v", name, s.created)
		}
	}
}

func TestTextsBecomeStorable(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	r := sandbox.Record{
		ID: sandbox.IDFor("r"), RequestID: "r", State: sandbox.Failed, Fence: 1, CreatedAt: epoch, ExpiresAt: epoch.Add(1),
		ProjectName: strings.Repeat("ü", 100), Reason: strings.Repeat("é", sandbox.MaxReason), LogTail: "lost" + strings.Repeat("é", sandbox.MaxLogTail/2) + "\x00",
	}
	if err := sandbox.NewRecords(s).Create(t.Context(), r, sandbox.Spec{}); err != nil {
		t.Fatal(err)
	}
	got := s.created[0]
	if got.ProjectName != strings.Repeat("ü", 50) || got.Reason != strings.Repeat("é", sandbox.MaxReason/2) || got.LogTail != strings.Repeat("é", sandbox.MaxLogTail/2) {
		t.Errorf("lengths %d, %d, %d", len(got.ProjectName), len(got.Reason), len(got.LogTail))
	}
	if got.EndedAt.IsZero() || !got.UpdatedAt.Equal(epoch) {
		t.Errorf("times are not complete: %+v", got)
	}
}

// stored is a record driver whose reads take so long that activity is stored meanwhile.
type stored struct {
	sandbox.RecordDriver // nothing else is called

	before func()
}

func (s *stored) Touch(context.Context, map[string]time.Time) error { return nil }

func (s *stored) Load(_ context.Context, id string) (sandbox.Record, error) {
	s.before()
	return sandbox.Record{ID: id}, nil
}

func (s *stored) List(context.Context, sandbox.Query) ([]sandbox.Record, error) {
	s.before()
	return []sandbox.Record{{ID: "a"}, {ID: "b"}}, nil
}

func TestActivityStoredDuringAReadIsInIt(t *testing.T) {
	t.Parallel()
	s := &stored{}
	records := sandbox.NewRecords(s)
	s.before = func() {
		if err := records.Close(t.Context()); err != nil { // stores what waits
			t.Error(err)
		}
	}
	records.Touch("a", epoch)
	if r, err := records.Load(t.Context(), "a"); err != nil || !r.ActiveAt.Equal(epoch) {
		t.Errorf("Load: active at %v, %v", r.ActiveAt, err)
	}
	records.Touch("b", epoch)
	list, err := records.List(t.Context(), sandbox.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if !list[0].ActiveAt.IsZero() || !list[1].ActiveAt.Equal(epoch) {
		t.Errorf("List: active at %v and %v", list[0].ActiveAt, list[1].ActiveAt)
	}
}
