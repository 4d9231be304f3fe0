package processsandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const (
	// awaitEvery is how often Await looks.
	awaitEvery = 5 * time.Millisecond
	// killTimeout bounds how long a killed process may take to go away. Only one that hangs in the kernel needs it.
	killTimeout = 10 * time.Second
)

// Options say where and how sandboxes run.
type Options struct {
	// Dir holds everything about sandboxes. It is made when missing, with mode 0700. Required.
	Dir string
	// Sandboxd is the path of the guest program. Required.
	Sandboxd string
	// BaseEnv is the whole environment of sandboxd and, before the app's own variables, of the project's commands.
	// A PATH is needed for almost anything. It must not hold secrets of the platform.
	BaseEnv map[string]string
	// CacheDir is shared by the package managers and compilers of all sandboxes. Defaults to none: each sandbox
	// starts with cold caches.
	CacheDir string
	// StartTimeout is how long a development server may take to answer. Defaults to 60 s.
	StartTimeout time.Duration
	// Builds is how many builds run at once. Defaults to 2.
	Builds int
	// Logger hears of processes that had to be killed. Defaults to slog.Default.
	Logger *slog.Logger
}

// Driver is a [sandbox.RuntimeDriver]. It is safe for concurrent use.
type Driver struct {
	o       Options
	dir     string
	release func() error // gives up the ownership of dir
	slots   chan struct{}
	running sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	generations map[sandbox.Ref]*generation
	graves      graves
}

var _ sandbox.RuntimeDriver = (*Driver)(nil)

// New takes ownership of o.Dir, kills what an earlier owner left running and reads what it left on disk. It waits
// until ctx ends, at most 5 s, for an owner that is just ending.
func New(ctx context.Context, o Options) (*Driver, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("sandbox folder: %w", err)
	}
	// Links are resolved once: processes are found by comparing this name.
	dir, err := filepath.EvalSymlinks(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("sandbox folder: %w", err)
	}
	release, err := own(ctx, dir)
	if err != nil {
		return nil, err
	}
	d := &Driver{o: o, dir: dir, release: release, slots: make(chan struct{}, o.Builds), generations: map[sandbox.Ref]*generation{}}
	if err := d.takeOver(ctx); err != nil {
		return nil, errors.Join(err, release())
	}
	return d, nil
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("sandbox folder is not named")
	}
	for _, path := range []*string{&o.Dir, &o.Sandboxd, &o.CacheDir} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = absolute
	}
	if info, err := os.Stat(o.Sandboxd); err != nil {
		return fmt.Errorf("sandboxd: %w", err)
	} else if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("sandboxd: %s is not a program", o.Sandboxd)
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = time.Minute
	}
	if o.Builds == 0 {
		o.Builds = 2
	}
	if o.Builds < 0 || o.StartTimeout < 0 {
		return errors.New("builds and start timeout must not be negative")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// takeOver brings a folder with a past to a state where nothing runs.
func (d *Driver) takeOver(ctx context.Context) error {
	refs, err := d.refsOnDisk()
	if err != nil {
		return err
	}
	killed, err := d.killAll(ctx, selection{below: d.dir, recorded: d.recordedProcesses(refs)})
	if err != nil {
		return fmt.Errorf("processes of an earlier owner of %s: %w", d.dir, err)
	}
	if killed > 0 {
		d.o.Logger.WarnContext(ctx, "killed processes of sandboxes that an earlier run left", "count", killed)
	}
	for _, ref := range refs {
		d.generations[ref] = d.loadGeneration(ref)
	}
	return nil
}

// Close ends every process that the driver started and gives up the folder. Files stay; phases that it cut off are
// Interrupted for the next owner. When ctx ends, what is left is killed without grace. Closing twice is nil.
func (d *Driver) Close(ctx context.Context) error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	var ending sync.WaitGroup
	for _, g := range d.generations {
		for _, p := range g.phases() {
			ending.Go(func() { p.end(ctx, "the platform stopped") })
		}
	}
	d.mu.Unlock()
	ending.Wait()
	d.running.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	_, err := d.killAll(last, selection{below: d.dir})
	return errors.Join(err, d.release())
}

// Build implements [sandbox.RuntimeDriver].
func (d *Driver) Build(ctx context.Context, t sandbox.Task) error {
	g, err := d.enter(ctx, t.Ref, true)
	if err != nil {
		return err
	}
	defer g.leave()
	return d.trigger(g, g.build, t)
}

// Serve implements [sandbox.RuntimeDriver].
func (d *Driver) Serve(ctx context.Context, t sandbox.Task) error {
	g, err := d.enter(ctx, t.Ref, false)
	if err != nil {
		return err
	}
	defer g.leave()
	if built := g.build.progress(); built != sandbox.Done {
		return fmt.Errorf("%w: the build of %s is %q, not done", sandbox.ErrTransition, t.Ref, built)
	}
	return d.trigger(g, g.serve, t)
}

// Inspect implements [sandbox.RuntimeDriver].
func (d *Driver) Inspect(_ context.Context, ref sandbox.Ref) (sandbox.Status, error) {
	if g := d.generation(ref); g != nil {
		return g.status(), nil
	}
	return sandbox.Status{}, nil
}

// Await implements [sandbox.RuntimeDriver].
func (d *Driver) Await(ctx context.Context, ref sandbox.Ref, seen sandbox.Status) error {
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for {
		now, err := d.Inspect(ctx, ref)
		if err != nil || now != seen {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// List implements [sandbox.RuntimeDriver].
func (d *Driver) List(context.Context) ([]sandbox.Ref, error) {
	refs, err := d.refsOnDisk()
	if err != nil {
		return nil, err
	}
	alive, err := d.refsAlive()
	if err != nil {
		return nil, err
	}
	return sortedRefs(refs, alive), nil
}

// Logs implements [sandbox.RuntimeDriver].
func (d *Driver) Logs(_ context.Context, ref sandbox.Ref, phase sandbox.Phase, offset int64) (io.ReadCloser, error) {
	g := d.generation(ref)
	if g == nil {
		return nil, fmt.Errorf("%w: generation %s", sandbox.ErrNotFound, ref)
	}
	return openLog(g.file(phase, ".log"), offset)
}

// generation returns what is known about ref, nil for nothing.
func (d *Driver) generation(ref sandbox.Ref) *generation {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.graves.covers(ref) {
		return nil
	}
	return d.generations[ref]
}

// enter returns the generation for one caller at a time, who has to leave it.
func (d *Driver) enter(ctx context.Context, ref sandbox.Ref, create bool) (*generation, error) {
	g, err := d.find(ref, create)
	if err != nil {
		return nil, err
	}
	select {
	case g.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// It may have been deleted, or all may have been closed, while we waited.
	if _, err := d.find(ref, create); err != nil {
		g.leave()
		return nil, err
	}
	return g, nil
}

func (d *Driver) find(ref sandbox.Ref, create bool) (*generation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch g := d.generations[ref]; {
	case d.closed:
		return nil, fmt.Errorf("%w: it is closed", sandbox.ErrUnavailable)
	case d.graves.covers(ref):
		return nil, fmt.Errorf("%w: %s", sandbox.ErrGone, ref)
	case g == nil && !create:
		return nil, fmt.Errorf("%w: %s was never built", sandbox.ErrTransition, ref)
	case g == nil:
		g = d.newGeneration(ref)
		d.generations[ref] = g
		return g, nil
	default:
		return g, nil
	}
}
