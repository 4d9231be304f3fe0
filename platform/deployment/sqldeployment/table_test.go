package sqldeployment_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/platform/deployment"
)

// spy counts the reads that reach the driver, and runs a test's hook within them.
type spy struct {
	deployment.Driver
	reads atomic.Int32
	hook  func(ctx context.Context) error
}

// Watch hears nothing, like a process whose connection to the database's notifications is lost.
func (s *spy) Watch(func(deployment.Hint)) func() { return func() {} }

func (s *spy) Preview(ctx context.Context, id string) (deployment.Preview, error) {
	s.reads.Add(1)
	p, err := s.Driver.Preview(ctx, id)
	if s.hook != nil {
		if err := s.hook(ctx); err != nil {
			return deployment.Preview{}, err
		}
	}
	return p, err
}

func (s *spy) wantReads(t *testing.T, want int32, why string) {
	t.Helper()
	if got := s.reads.Load(); got != want {
		t.Errorf("%d reads, want %d: %s", got, want, why)
	}
}

type clock struct{ nanos atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(1_800_000_000, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

func preview(fence int64) deployment.Preview {
	return deployment.Preview{SandboxID: "sbx-a", Token: "aaaabbbbccccdddd", Fence: fence, Endpoint: "127.0.0.1:4000"}
}

func mustFind(t *testing.T, table *deployment.Table, fence int64) {
	t.Helper()
	if p, err := table.Preview(t.Context(), "sbx-a"); err != nil || p.Fence != fence {
		t.Errorf("got fence %d, %v; want fence %d", p.Fence, err, fence)
	}
}

func mustMiss(t *testing.T, table *deployment.Table) {
	t.Helper()
	if p, err := table.Preview(t.Context(), "sbx-a"); !errors.Is(err, deployment.ErrNotFound) {
		t.Errorf("got fence %d, %v; want ErrNotFound", p.Fence, err)
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	clock, behind := &clock{}, &spy{Driver: open(t, sqlite(t))}
	table := deployment.NewTable(behind, deployment.Options{Now: clock.Now})

	mustMiss(t, table)
	clock.advance(187 * time.Millisecond)
	if err := behind.PutPreview(t.Context(), preview(1)); err != nil { // as another process does
		t.Fatal(err)
	}
	mustMiss(t, table)
	behind.wantReads(t, 1, "absence is remembered for 250 ms, and loaded anew in the last quarter at the earliest")
	clock.advance(63 * time.Millisecond)
	mustFind(t, table, 1)
	behind.wantReads(t, 2, "and not longer")

	if err := behind.WithdrawPreview(t.Context(), "sbx-a", 1); err != nil {
		t.Fatal(err)
	}
	clock.advance(749 * time.Millisecond)
	mustFind(t, table, 1)
	behind.wantReads(t, 2, "a route is remembered for 1 s, and loaded anew in the last quarter at the earliest")
	clock.advance(251 * time.Millisecond)
	mustMiss(t, table)
	behind.wantReads(t, 3, "and not longer")
}

// TestAgeCountsFromBeforeTheRead: a slow read must not add to the age that is promised.
func TestAgeCountsFromBeforeTheRead(t *testing.T) {
	t.Parallel()
	clock, behind := &clock{}, &spy{Driver: open(t, sqlite(t))}
	behind.hook = func(context.Context) error { clock.advance(900 * time.Millisecond); return nil }
	table := deployment.NewTable(behind, deployment.Options{Now: clock.Now})
	if err := table.PutPreview(t.Context(), preview(1)); err != nil {
		t.Fatal(err)
	}
	mustFind(t, table, 1)
	clock.advance(100 * time.Millisecond)
	mustFind(t, table, 1)
	behind.wantReads(t, 2, "the first answer was read a second ago")
}

func TestWritesTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	clock := &clock{} // stands still: nothing expires
	table := deployment.NewTable(open(t, sqlite(t)), deployment.Options{Now: clock.Now})
	mustMiss(t, table)
	for fence := int64(1); fence <= 3; fence++ {
		if err := table.PutPreview(t.Context(), preview(fence)); err != nil {
			t.Fatal(err)
		}
		mustFind(t, table, fence)
	}
	if err := table.WithdrawPreview(t.Context(), "sbx-a", 3); err != nil {
		t.Fatal(err)
	}
	mustMiss(t, table)
}

// TestAWriteOvertakesALoad: a load that began before a write may return the old row to who waited for it, but
// nobody who asks after the write may see it.
func TestAWriteOvertakesALoad(t *testing.T) {
	t.Parallel()
	clock, behind := &clock{}, &spy{Driver: open(t, sqlite(t))}
	read, release := make(chan struct{}), make(chan struct{})
	behind.hook = func(context.Context) error {
		if behind.reads.Load() == 1 {
			close(read)
			<-release
		}
		return nil
	}
	table := deployment.NewTable(behind, deployment.Options{Now: clock.Now})
	if err := behind.PutPreview(t.Context(), preview(1)); err != nil {
		t.Fatal(err)
	}
	early := make(chan error, 1)
	go func() {
		_, err := table.Preview(context.Background(), "sbx-a")
		early <- err
	}()
	<-read
	if err := table.WithdrawPreview(t.Context(), "sbx-a", 1); err != nil {
		t.Fatal(err)
	}
	mustMiss(t, table) // while the old load is still under way
	close(release)
	if err := <-early; err != nil {
		t.Errorf("the early caller got %v", err)
	}
	mustMiss(t, table) // and after it has landed
}

// TestMemoryIsBounded fills the memory with what does not exist, as a scan does. What it holds must stay bounded,
// and lookups right.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	clock, behind := &clock{}, &spy{Driver: open(t, sqlite(t))}
	table := deployment.NewTable(behind, deployment.Options{Now: clock.Now, Size: 10})
	if err := table.PutPreview(t.Context(), preview(1)); err != nil {
		t.Fatal(err)
	}
	ask := func(i int) {
		t.Helper()
		if _, err := table.Preview(t.Context(), fmt.Sprintf("sbx-%d", i)); !errors.Is(err, deployment.ErrNotFound) {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		ask(i)
		mustFind(t, table, 1)
	}
	behind.reads.Store(0)
	for i := range 100 {
		ask(i)
	}
	if n := behind.reads.Load(); n < 90 {
		t.Errorf("of 100 ids asked again only %d were read: more than 10 are remembered", n)
	}
	behind.reads.Store(0)
	ask(99)
	behind.wantReads(t, 0, "the last one asked is remembered")
}

func TestLookupsIgnoreCase(t *testing.T) {
	t.Parallel()
	table := deployment.NewTable(open(t, sqlite(t)), deployment.Options{})
	if err := table.PutPreview(t.Context(), preview(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := table.PutApp(t.Context(), deployment.App{Name: "shop", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"}}, deployment.Write{}); err != nil {
		t.Fatal(err)
	}
	if p, err := table.Preview(t.Context(), "SBX-a"); err != nil || p.SandboxID != "sbx-a" {
		t.Errorf("Preview: %+v, %v", p, err)
	}
	if a, err := table.App(t.Context(), "Shop"); err != nil || a.Name != "shop" {
		t.Errorf("App: %+v, %v", a, err)
	}
}

func TestTimesAreStamped(t *testing.T) {
	t.Parallel()
	clock := &clock{}
	table := deployment.NewTable(open(t, sqlite(t)), deployment.Options{Now: clock.Now})
	if err := table.PutPreview(t.Context(), preview(1)); err != nil {
		t.Fatal(err)
	}
	p, err := table.Preview(t.Context(), "sbx-a")
	if err != nil || !p.PublishedAt.Equal(clock.Now()) {
		t.Errorf("published at %v, %v", p.PublishedAt, err)
	}
	a, err := table.PutApp(t.Context(), deployment.App{Name: "shop", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"}}, deployment.Write{})
	if err != nil || !a.UpdatedAt.Equal(clock.Now()) {
		t.Errorf("updated at %v, %v", a.UpdatedAt, err)
	}
}
