package sandboxrunner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/internal/testenv/cloudrunfake"
	"vibesdk-gcp/platform/sandbox"
)

// crash is one case: in one kind of a life, one call goes wrong the first time that it is made.
type crash struct {
	scene *scene
	// call is an RPC of Cloud Run, a call of the store, or one of sandboxd's own, which begin with "guest: ".
	call string
	kind cloudrunfake.FaultKind
	// killed says that whoever makes the call dies with it; twice that each message is delivered twice, to two workers at once.
	killed, twice bool
}

var kinds = map[cloudrunfake.FaultKind]string{cloudrunfake.Before: "before", cloudrunfake.After: "after", cloudrunfake.Lost: "lost"}

// column is where the case is in the table.
func (c crash) column() string {
	name := kinds[c.kind]
	if c.killed {
		name += " killed"
	}
	if c.twice {
		name += " twice"
	}
	return name
}

func (c crash) row() string {
	if c.scene.name == "" {
		return c.call
	}
	return c.call + ", " + c.scene.name
}

// guestCall is the fault's name at the store's door.
func (c crash) guestCall() (string, bool) { return strings.CutPrefix(c.call, "guest: ") }

// inject puts the trouble in place.
func (c crash) inject(r *region) (struck func() bool) {
	then := func() {}
	call, guests := c.guestCall()
	switch {
	case c.killed && guests:
		then = r.killGuests
	case c.killed:
		then = r.killWorkers
	}
	switch {
	case guests:
		return r.storage.Inject(cloudrunfake.Fault{Method: call, Nth: 1, Kind: c.kind, Then: then})
	case strings.Contains(call, " "):
		r.trouble.inject(c.call, c.kind, then)
		return r.trouble.did
	default:
		return r.Inject(cloudrunfake.Fault{Method: c.call, Nth: 1, Kind: c.kind, Then: then})
	}
}

// guestCalls are the calls that a build and a preview make by themselves.
var guestCalls = []string{
	"guest: GET build.task.json", "guest: PUT build.claim.json", "guest: GET 1", "guest: PUT build.json", "guest: PUT build.log", "guest: PUT snapshot.tar.zst",
	"guest: GET serve.task.json", "guest: GET snapshot.tar.zst", "guest: PUT serve.json", "guest: PUT serve.log",
}

// outcome is what became of a case.
type outcome struct {
	fence, endpoints int
	swept            bool
	// missed says that the call was never made: some depend on who is faster.
	missed bool
	fault  error
}

// run is the life of one sandbox: asked for, shown, stopped, with the trouble on its way. Then what is left is cleaned up, and
// nothing may be there.
func (c crash) run(ctx context.Context, l *ledger, id, sandboxd, build string, worked func(*region) map[string]int) (o outcome, calls []string) {
	r, err := newRegion(l, sandboxd)
	if err != nil {
		return outcome{fault: err}, nil
	}
	defer func() { o.fault = errors.Join(o.fault, r.close()) }()
	if c.kind == cloudrunfake.Lost {
		r.callTimeout = time.Second // one call lasts as long; all others are far faster
		if sandboxd != "" {
			r.callTimeout *= 2
		}
	}
	if c.scene.prepare != nil {
		if err := c.scene.prepare(ctx, r, id); err != nil {
			return outcome{fault: fmt.Errorf("prepare: %w", err)}, nil
		}
	}
	struck := func() bool { return true }
	if c.call != "" {
		struck = c.inject(r)
	}
	o.fault = c.scene.life(ctx, c, r, id, build)
	rec, err := l.records.Load(ctx, sandbox.IDFor(id))
	if c.scene.withoutRecord && errors.Is(err, sandbox.ErrNotFound) {
		rec, err = sandbox.Record{ID: sandbox.IDFor(id), State: sandbox.Deleted, Fence: 1}, nil
	}
	o.fence, o.endpoints = int(rec.Fence), r.PeakEndpoints()
	if o.fault != nil || err != nil {
		o.fault = errors.Join(o.fault, err)
		return o, nil
	}
	left, err := r.left(ctx)
	if err == nil && len(left) > 0 { // what only a sweep can know of
		o.swept = true
		for range 50 {
			if err = r.sweep(ctx, &outbox{}); err != nil {
				continue // it is still going
			}
			if left, err = r.left(ctx); err != nil || len(left) == 0 {
				break
			}
		}
	}
	o.missed = !struck()
	o.fault = errors.Join(err, c.judge(rec, worked(r), o, left))
	return o, slices.Concat(r.Calls(), r.trouble.calls())
}

// deliver delivers a message once, or twice at the same time.
func (c crash) deliver(ctx context.Context, r *region, m events.Message) error {
	var group errgroup.Group
	group.Go(func() error { return r.deliver(ctx, m) })
	if c.twice {
		group.Go(func() error { return r.deliver(ctx, m) })
	}
	return group.Wait()
}

// judge holds a case against what must be.
func (c crash) judge(rec sandbox.Record, works map[string]int, o outcome, left []string) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if rec.State != sandbox.Deleted {
		fault("it ends as %s", rec.State)
	}
	for ref, n := range works {
		if n > 1 {
			fault("%d executions work for %s", n, ref)
		}
	}
	if works[rec.Ref().String()] != 1 {
		fault("%d executions work for the last generation", works[rec.Ref().String()])
	}
	_, guests := c.guestCall()
	if interrupted := guests && c.killed; !interrupted && rec.Fence != 1 {
		fault("it took %d generations though no build was lost", rec.Fence)
	}
	if o.endpoints > 1 {
		fault("%d services at one time", o.endpoints)
	}
	if len(left) > 0 {
		fault("left: %s", strings.Join(left, ", "))
	}
	return errors.Join(faults...)
}

// crashes are all cases for some calls in a kind of a life.
func crashes(s *scene, calls ...string) []crash {
	var all []crash
	for _, call := range calls {
		for _, kind := range []cloudrunfake.FaultKind{cloudrunfake.Before, cloudrunfake.After, cloudrunfake.Lost} {
			for _, killed := range []bool{false, true} {
				for _, twice := range []bool{false, true} {
					all = append(all, crash{s, call, kind, killed, twice})
				}
			}
		}
	}
	return all
}

// TestCrashMatrix lets every external call of a sandbox's life on Cloud Run go wrong in every way. Whatever happens, one execution
// works for each generation, there is never more than one service, and in the end nothing is left.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	clean, made := crash{scene: &whole}.run(t.Context(), l, "clean", "", "", (*region).worked)
	if clean.fault != nil || clean.swept || clean.fence != 1 {
		t.Fatalf("without trouble: %+v", clean)
	}
	slices.Sort(made)
	all := crashes(&whole, slices.Concat(slices.Compact(made), guestCalls)...)
	if len(all) < 400 {
		t.Fatalf("only %d cases are known", len(all))
	}
	printTable(t, all, runAll(t, all, atOnce, func(ctx context.Context, c crash, id string) outcome {
		o, _ := c.run(ctx, l, id, "", "", (*region).worked)
		return o
	}))
}

// TestCrashMatrixOfOtherLives is about the calls that no ordinary life has, and about previews that are instances.
func TestCrashMatrixOfOtherLives(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	var all []crash
	for _, s := range otherScenes {
		all = append(all, crashes(s, s.calls...)...)
	}
	printTable(t, all, runAll(t, all, atOnce, func(ctx context.Context, c crash, id string) outcome {
		o, _ := c.run(ctx, l, id, "", "", (*region).worked)
		return o
	}))
}

// TestCrashMatrixOfProcesses is the part about starting and ending, with the real sandboxd.
func TestCrashMatrixOfProcesses(t *testing.T) {
	t.Parallel()
	l, sandboxd, dir := newLedger(t), testenv.Program(t, "sandboxd", ""), t.TempDir()
	all := crashes(&whole, "RunJob", "CreateService", "DeleteExecution", "create build.run.json")
	printTable(t, all, runAll(t, all, processesAtOnce, func(ctx context.Context, c crash, id string) outcome {
		trace := filepath.Join(dir, id)
		o, _ := c.run(ctx, l, id, sandboxd, `echo "$SANDBOX_REF" >> '`+trace+`'`, func(*region) map[string]int {
			works := map[string]int{}
			body, _ := os.ReadFile(trace) // none is no work
			for line := range strings.Lines(string(body)) {
				works[strings.TrimSpace(line)]++
			}
			return works
		})
		return o
	}))
}

const (
	// atOnce is how many cases run at the same time: they mostly wait. Those with processes of their own do not.
	atOnce          = 16
	processesAtOnce = 4
	// tries is how often a case is run for its trouble to come: on a slow machine a call may take so long that another is made in its place.
	tries = 4
)

func runAll(t *testing.T, all []crash, atOnce int, run func(context.Context, crash, string) outcome) map[crash]outcome {
	t.Helper()
	var mu sync.Mutex
	outcomes := map[crash]outcome{}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, c := range all {
		group.Go(func() error {
			o := outcome{missed: true}
			for try := 0; o.missed && o.fault == nil && try < tries; try++ {
				o = runOnce(t, c, fmt.Sprintf("case-%d-%d", i, try), run)
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[c] = o
			return nil
		})
	}
	_ = group.Wait() // the errors are in the outcomes
	return outcomes
}

func runOnce(t *testing.T, c crash, id string, run func(context.Context, crash, string) outcome) outcome {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return run(ctx, c, id)
}

// printTable prints a line for each call: `ok`, with `s` where the sweep had something to remove and the number of
// generations where it took more than one; `-` where the call was never made.
func printTable(t *testing.T, all []crash, outcomes map[crash]outcome) {
	t.Helper()
	var columns []string
	for _, c := range all[:12] {
		columns = append(columns, c.column())
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%d cases\n%-48s", len(all), "the first call of")
	for _, column := range columns {
		fmt.Fprintf(&table, " %-19s", column)
	}
	good, missed := 0, 0
	for i, c := range all {
		if i%12 == 0 {
			fmt.Fprintf(&table, "\n%-48s", c.row())
		}
		o := outcomes[c]
		mark := "ok"
		if o.fence > 1 {
			mark += fmt.Sprintf(" %d", o.fence)
		}
		if o.swept {
			mark += " s"
		}
		switch {
		case o.fault != nil:
			mark = "FAIL"
			t.Errorf("%s, %s: %v", c.row(), c.column(), o.fault)
		case o.missed:
			mark = "-"
			missed++
		default:
			good++
		}
		fmt.Fprintf(&table, " %-19s", mark)
	}
	t.Logf("%s\n%d of %d hold, in %d the trouble did not come", table.String(), good, len(all), missed)
	if missed*10 > len(all) {
		t.Errorf("in %d of %d cases the trouble did not come", missed, len(all))
	}
}
