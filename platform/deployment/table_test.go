package deployment_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/schemas"
)

const (
	tokenA = "aaaabbbbccccdddd"
	tokenB = "2345672345672345"
)

func newDriver(t *testing.T) deployment.Driver {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "deployments.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	return sqldeployment.New(db)
}

// spy counts the reads that reach the driver, and runs a test's hook within them.
type spy struct {
	deployment.Driver
	reads atomic.Int32
	hook  func(ctx context.Context) error
}

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
	return deployment.Preview{SandboxID: "sbx-a", Token: tokenA, Fence: fence, Endpoint: "127.0.0.1:4000"}
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
	clock, behind := &clock{}, &spy{Driver: newDriver(t)}
	table := deployment.NewTable(behind, deployment.Options{Now: clock.Now})

	mustMiss(t, table)
	clock.advance(249 * time.Millisecond)
	if err := behind.PutPreview(t.Context(), preview(1)); err != nil { // as another process does
		t.Fatal(err)
	}
	mustMiss(t, table)
	behind.wantReads(t, 1, "absence is remembered for 250 ms")
	clock.advance(time.Millisecond)
	mustFind(t, table, 1)
	behind.wantReads(t, 2, "and not longer")

	if err := behind.WithdrawPreview(t.Context(), "sbx-a", 1); err != nil {
		t.Fatal(err)
	}
	clock.advance(999 * time.Millisecond)
	mustFind(t, table, 1)
	behind.wantReads(t, 2, "a route is remembered for 1 s")
	clock.advance(time.Millisecond)
	mustMiss(t, table)
	behind.wantReads(t, 3, "and not longer")
}

// TestAgeCountsFromBeforeTheRead: a slow read must not add to the age that is promised.
func TestAgeCountsFromBeforeTheRead(t *testing.T) {
	t.Parallel()
	clock, behind := &clock{}, &spy{Driver: newDriver(t)}
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
	table := deployment.NewTable(newDriver(t), deployment.Options{Now: clock.Now})
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
	clock, behind := &clock{}, &spy{Driver: newDriver(t)}
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

func TestOneLoadForAll(t *testing.T) {
	t.Parallel()
	driver := newDriver(t)
	if err := driver.PutPreview(t.Context(), preview(1)); err != nil {
		t.Fatal(err)
	}
	route, err := driver.Preview(t.Context(), "sbx-a")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		slow := &spy{Driver: fixed{nil, route}, hook: func(ctx context.Context) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		table := deployment.NewTable(slow, deployment.Options{})
		ctx, leave := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			_, err := table.Preview(ctx, "sbx-a")
			first <- err
		}()
		synctest.Wait()
		var found atomic.Int32
		for range 100 {
			go func() {
				if p, err := table.Preview(t.Context(), "sbx-a"); err == nil && p == route {
					found.Add(1)
				}
			}()
		}
		synctest.Wait()
		leave() // the one whose miss began the load goes; the load is for the others too
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		close(release)
		synctest.Wait()
		if found.Load() != 100 || slow.reads.Load() != 1 {
			t.Errorf("%d of 100 found it, with %d reads", found.Load(), slow.reads.Load())
		}
	})
}

// fixed answers Preview with one route.
type fixed struct {
	deployment.Driver
	route deployment.Preview
}

func (f fixed) Preview(context.Context, string) (deployment.Preview, error) { return f.route, nil }

func TestLoadsAreBoundedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := &spy{Driver: fixed{}, hook: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		table := deployment.NewTable(stuck, deployment.Options{LoadTimeout: 3 * time.Second})
		start := time.Now()
		if _, err := table.Preview(t.Context(), "sbx-a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if _, err := table.Preview(t.Context(), "sbx-a"); err == nil || stuck.reads.Load() != 2 {
			t.Errorf("a failure must not be remembered: %v, %d reads", err, stuck.reads.Load())
		}

		waiting := make(chan error, 1)
		go func() {
			_, err := table.Preview(t.Context(), "sbx-b")
			waiting <- err
		}()
		synctest.Wait()
		if err := table.Close(); err != nil {
			t.Error(err)
		}
		for _, err := range []error{<-waiting, second(table.Preview(t.Context(), "sbx-a")), second(table.App(t.Context(), "shop"))} {
			if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "closed") {
				t.Errorf("after Close: %v", err)
			}
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestMemoryIsBounded fills the memory with what does not exist, as a scan does. What it holds must stay bounded,
// and lookups right.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	clock, behind := &clock{}, &spy{Driver: newDriver(t)}
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
	table := deployment.NewTable(newDriver(t), deployment.Options{})
	if err := table.PutPreview(t.Context(), preview(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := table.PutApp(t.Context(), deployment.App{Name: "shop", Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"}); err != nil {
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
	table := deployment.NewTable(newDriver(t), deployment.Options{Now: clock.Now})
	if err := table.PutPreview(t.Context(), preview(1)); err != nil {
		t.Fatal(err)
	}
	p, err := table.Preview(t.Context(), "sbx-a")
	if err != nil || !p.PublishedAt.Equal(clock.Now()) {
		t.Errorf("published at %v, %v", p.PublishedAt, err)
	}
	a, err := table.PutApp(t.Context(), deployment.App{Name: "shop", Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"})
	if err != nil || !a.UpdatedAt.Equal(clock.Now()) {
		t.Errorf("updated at %v, %v", a.UpdatedAt, err)
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	table := deployment.NewTable(newDriver(t), deployment.Options{})
	for field, change := range map[string]func(*deployment.Preview){
		"sandbox id": func(p *deployment.Preview) { p.SandboxID = "Sbx" },
		"token":      func(p *deployment.Preview) { p.Token = "secret-secret-se" },
		"fence":      func(p *deployment.Preview) { p.Fence = 0 },
		"endpoint":   func(p *deployment.Preview) { p.Endpoint = "http://user:secret@host" },
	} {
		p := preview(1)
		change(&p)
		err := table.PutPreview(t.Context(), p)
		if !errors.Is(err, deployment.ErrInvalid) || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", field, err)
		}
	}
	for field, change := range map[string]func(*deployment.App){
		"name":     func(a *deployment.App) { a.Name = "Shop" },
		"target":   func(a *deployment.App) { a.Target = "moon" },
		"endpoint": func(a *deployment.App) { a.Endpoint = "host" },
	} {
		a := deployment.App{Name: "shop", Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"}
		change(&a)
		if _, err := table.PutApp(t.Context(), a); !errors.Is(err, deployment.ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	for _, err := range []error{
		table.WithdrawPreview(t.Context(), "", 1), table.WithdrawPreview(t.Context(), "sbx-a", 0),
		second(table.Apps(t.Context(), "", 1001)), second(table.Apps(t.Context(), "", -1)),
	} {
		if !errors.Is(err, deployment.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	}
	if err := table.DeleteApp(t.Context(), "Shop"); !errors.Is(err, deployment.ErrNotFound) {
		t.Errorf("DeleteApp: %v", err)
	}
	if apps, err := table.Apps(t.Context(), "", 0); err != nil || cmp.Diff([]deployment.App(nil), apps) != "" {
		t.Errorf("Apps: %v, %v", apps, err)
	}
}
