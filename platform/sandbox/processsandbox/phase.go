package processsandbox

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const (
	// graceToEnd is what sandboxd gets to end by itself. It gives the project's commands 2 s.
	graceToEnd = 3 * time.Second
	// deadlineSlack is what sandboxd gets beyond a build's deadline to enforce it.
	deadlineSlack = 5 * time.Second
)

// phase is one of the two programs of a generation. It is triggered once.
type phase struct {
	kind  sandbox.Phase
	g     *generation
	file  statusFile
	ended chan struct{} // closed when it has ended and all its processes are gone
	quit  chan struct{} // closed by the first end

	mu        sync.Mutex
	triggered bool
	quitting  string      // why it was told to end, empty if it was not
	process   *os.Process // set while sandboxd runs
	escaping  []pidRecord // what it had started when it was killed
	last      view        // how it ended
}

// view is what can be said about a phase.
type view struct {
	sandbox.GuestStatus
	interrupted bool
}

func newPhase(g *generation, kind sandbox.Phase) *phase {
	return &phase{
		kind: kind, g: g, file: statusFile{path: g.file(kind, ".json")},
		ended: make(chan struct{}), quit: make(chan struct{}),
	}
}

// look says what is known now.
func (p *phase) look() view {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.triggered {
		return view{}
	}
	select {
	case <-p.ended:
		return p.last
	default:
	}
	v := view{GuestStatus: p.file.read()}
	// A build is done when its process is gone: only then may another one work in the folder.
	if v.Progress == sandbox.Absent || v.Progress == sandbox.Done && p.kind == sandbox.PhaseBuild {
		v.Progress = sandbox.Running
	}
	return v
}

func (p *phase) progress() sandbox.Progress { return p.look().Progress }

// loadEnded takes up a phase of an earlier owner.
func (p *phase) loadEnded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.triggered = true
	p.last = view{GuestStatus: p.file.read()}
	if p.last.Progress != sandbox.Broken && (p.kind == sandbox.PhaseServe || p.last.Progress != sandbox.Done) {
		p.last = p.interruption("the platform was restarted")
	}
	close(p.ended)
}

func (p *phase) interruption(why string) view {
	what := map[sandbox.Phase]string{sandbox.PhaseBuild: "build", sandbox.PhaseServe: "preview"}[p.kind]
	return view{interrupted: true, GuestStatus: sandbox.GuestStatus{
		Phase: p.kind, Progress: sandbox.Broken, Reason: fmt.Sprintf("%s interrupted: %s", what, why), LogTail: logTail(p.g.file(p.kind, ".log")),
	}}
}

// end tells the phase to end and waits until it has, with all its processes. After a grace, or when ctx ends,
// sandboxd is killed.
func (p *phase) end(ctx context.Context, why string) {
	p.mu.Lock()
	if !p.triggered {
		p.mu.Unlock()
		return
	}
	if p.quitting == "" {
		p.quitting = why
		close(p.quit)
	}
	process := p.process
	p.mu.Unlock()
	if process != nil {
		_ = process.Signal(terminate) // an error means that it has ended
		grace := time.NewTimer(graceToEnd)
		defer grace.Stop()
		select {
		case <-p.ended:
		case <-grace.C:
		case <-ctx.Done():
		}
		p.kill(process)
	}
	<-p.ended
}

// kill kills sandboxd, if it has not ended yet, and remembers what it was watching over.
func (p *phase) kill(process *os.Process) {
	select {
	case <-p.ended:
		return
	default:
	}
	escaping := descendantsOf(process.Pid)
	p.mu.Lock()
	p.escaping = append(p.escaping, escaping...)
	p.mu.Unlock()
	_ = process.Kill() // an error means that it has ended
}

// finish records how the phase ended. It is called once, when all its processes are gone.
func (p *phase) finish(last view) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process, p.last = nil, last
	close(p.ended)
}
