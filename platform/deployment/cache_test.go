package deployment_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vibesdk-gcp/platform/deployment"
)

// slowDriver is a database that answers when the test lets it: real ones do not stand still inside synctest.
type slowDriver struct {
	deployment.Driver
	route deployment.Preview
	wait  func(context.Context) error
	reads atomic.Int32
}

func (d *slowDriver) Preview(ctx context.Context, _ string) (deployment.Preview, error) {
	d.reads.Add(1)
	if err := d.wait(ctx); err != nil {
		return deployment.Preview{}, err
	}
	return d.route, nil
}

func (d *slowDriver) App(context.Context, string) (deployment.App, error) {
	return deployment.App{}, deployment.ErrNotFound
}

func (d *slowDriver) Watch(func(deployment.Hint)) func() { return func() {} }

func TestOneLoadForAll(t *testing.T) {
	t.Parallel()
	route := deployment.Preview{SandboxID: "sbx-a", Token: tokenA, Fence: 1, Endpoint: "127.0.0.1:4000"}
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		slow := &slowDriver{route: route, wait: func(ctx context.Context) error {
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

func TestLoadsAreBoundedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := &slowDriver{wait: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
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

// TestWhatIsInUseIsLoadedAhead: nobody waits for the database as long as it answers within a quarter of the time.
func TestWhatIsInUseIsLoadedAhead(t *testing.T) {
	t.Parallel()
	route := deployment.Preview{SandboxID: "sbx-a", Token: tokenA, Fence: 1, Endpoint: "127.0.0.1:4000"}
	synctest.Test(t, func(t *testing.T) {
		var took atomic.Int64 // a time.Duration
		took.Store(int64(100 * time.Millisecond))
		slow := &slowDriver{route: route, wait: func(context.Context) error {
			time.Sleep(time.Duration(took.Load()))
			return nil
		}}
		table := deployment.NewTable(slow, deployment.Options{})
		defer table.Close()
		ended, end := context.WithCancel(t.Context())
		end() // whoever would have to wait gives up
		ask := func() error { return second(table.Preview(ended, "sbx-a")) }
		if err := ask(); !errors.Is(err, context.Canceled) {
			t.Fatalf("before anything is known: %v", err)
		}
		for range 50 { // ten seconds, of which each row is good for one
			time.Sleep(200 * time.Millisecond)
			if err := ask(); err != nil {
				t.Fatal(err)
			}
		}
		if n := slow.reads.Load(); n < 10 || n > 14 {
			t.Errorf("%d reads in ten seconds", n)
		}
		time.Sleep(time.Second)
		if err := ask(); !errors.Is(err, context.Canceled) {
			t.Errorf("what nobody asked for is loaded: %v", err)
		}

		// A slower one is waited for, but not before the second is over.
		time.Sleep(200 * time.Millisecond) // the load that was begun took half of it
		took.Store(int64(time.Second))
		for _, wait := range []time.Duration{600 * time.Millisecond, 199 * time.Millisecond} {
			time.Sleep(wait)
			if err := ask(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Millisecond)
		if err := ask(); !errors.Is(err, context.Canceled) {
			t.Errorf("a row is good for more than its second: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }
