//go:build unix

package guest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// devServer runs the project's development server and proxies to it. It starts a server that ended again,
// within its budget; requests wait meanwhile.
type devServer struct {
	task   sandbox.GuestTask
	procs  *processes
	log    *phaseLog
	proxy  http.Handler
	budget restartBudget
	again  atomic.Int64

	mu sync.Mutex
	// address is where the server answers now, "" while it does not.
	address string
	// changed is closed and replaced when address changes.
	changed chan struct{}
}

func newDevServer(task sandbox.GuestTask, procs *processes, log *phaseLog) *devServer {
	d := &devServer{task: task, procs: procs, log: log, budget: restartBudget{unit: restartDelay}, changed: make(chan struct{})}
	d.proxy = newProxy(d.await, log)
	return d
}

func (d *devServer) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.proxy.ServeHTTP(w, r) }

func (d *devServer) healthy() bool { address, _ := d.upstream(); return address != "" }

func (d *devServer) restarts() int { return int(d.again.Load()) }

// run starts the server, and again as often as the budget allows. A server that ends before it answered for
// the first time is not started again: that is how mistakes in the project show, and waiting would hide them.
func (d *devServer) run(ctx context.Context, ready func()) error {
	answered := false
	for {
		err := d.once(ctx, func() {
			if !answered {
				answered = true
				ready()
			}
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !answered {
			return err
		}
		delay, ok := d.budget.next(time.Now())
		if !ok {
			return broken("development server kept ending: %d restarts within %s; last: %s", restartLimit, restartWindow, sentence(err))
		}
		d.log.system("%s; starting it again in %s", sentence(err), delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		d.again.Add(1)
	}
}

// once runs the server until it ends, and says how. It calls ready each time an address answers.
func (d *devServer) once(parent context.Context, ready func()) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	defer d.setUpstream("")
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	timeout := d.task.StartTimeout
	if timeout <= 0 {
		timeout = defaultStartTimeout
	}

	type answer struct {
		port    int
		address string
	}
	answers := make(chan answer)
	probing, stopProbing := context.WithTimeout(ctx, timeout)
	defer stopProbing()
	probe := newProber(probing,
		func(port int) bool { return listensBelow(os.Getpid(), port) },
		func(port int, address string) {
			select {
			case answers <- answer{port, address}:
			case <-ctx.Done():
			}
		})
	announced := func(line string) {
		for _, port := range announcedPorts(line) {
			probe.add(port)
		}
	}
	env := environment(d.task, nil, map[string]string{"PORT": strconv.Itoa(port), "HOST": "127.0.0.1"})
	d.log.system("starting the development server: %s", d.task.Spec.Dev)
	g, err := d.procs.shell(d.task.Spec.Dev, filepath.Join(d.task.Dir, appFolder), env,
		d.log.stream(streamOut, announced), d.log.stream(streamErr, announced))
	if err != nil {
		return broken("%s", exitWords("development server", err, ""))
	}
	probe.add(port)

	late := probing.Done()
	for {
		select {
		case a := <-answers:
			// The port that was asked for wins over one that was announced: of two servers, it is the one that listened.
			if d.healthy() && a.port != port {
				continue
			}
			d.setUpstream(a.address)
			d.log.system("the development server answers at %s", a.address)
			ready()
		case <-g.ended:
			d.setUpstream("")
			g.end(grace) // what it left behind
			words := exitWords("development server", g.err, d.log.tail())
			if g.err == nil {
				words += "; it must stay in the foreground"
			}
			return &BrokenError{words}
		case <-late:
			late = nil
			if ctx.Err() == nil && !d.healthy() {
				g.end(grace)
				return broken("development server did not answer within %s on port %d (PORT) or on a port that it announced", timeout, port)
			}
		case <-ctx.Done():
			patience := grace
			if errors.Is(context.Cause(parent), ErrSupervisorGone) {
				patience = 0
			}
			g.end(patience)
			return context.Cause(parent)
		}
	}
}

func (d *devServer) upstream() (address string, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.address, d.changed
}

func (d *devServer) setUpstream(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.address = address
	close(d.changed)
	d.changed = make(chan struct{})
}

var errNotAnswering = errors.New("the development server does not answer")

// await returns where the server answers, waiting for it until ctx ends.
func (d *devServer) await(ctx context.Context) (string, error) {
	for {
		address, changed := d.upstream()
		if address != "" {
			return address, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", errNotAnswering, context.Cause(ctx))
		}
	}
}
