//go:build unix

package guest

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const (
	// grace is how long a command has between SIGTERM and SIGKILL.
	grace = 2 * time.Second
	// killWait bounds the wait for processes after SIGKILL. Only a process stuck in the kernel takes longer.
	killWait = 5 * time.Second
	pollMin  = 2 * time.Millisecond
	pollMax  = 40 * time.Millisecond
)

// processes starts the project's commands and ends them with all their descendants. It is safe for
// concurrent use.
type processes struct {
	status *statusFile
	// adopted is set when orphaned descendants become children of this process: see [Adopt].
	adopted bool

	mu     sync.Mutex
	groups map[int]*group
	closed bool
}

func newProcesses(status *statusFile) *processes {
	return &processes{status: status, adopted: adopter.Load(), groups: map[int]*group{}}
}

// group is one command, the leader of a process group.
type group struct {
	owner *processes
	id    int
	// ended is closed when the leader has ended; err and state tell how. Other members may live on.
	ended chan struct{}
	err   error
	// outputs are closed when the output is read to its end.
	outputs []*output
}

// output is one stream of a command: what is read from the pipe goes to the writer.
type output struct {
	pipe *os.File
	to   io.WriteCloser
	done chan struct{}
}

var errClosed = errors.New("the sandbox is stopping")

// shell starts a command line in folder dir, its output going to the two writers.
func (p *processes) shell(line, dir string, env []string, stdout, stderr io.WriteCloser) (*group, error) {
	return p.launch([]string{"/bin/sh", "-c", line}, dir, env, stdout, stderr)
}

// launch starts a program in folder dir. Each writer is used and closed by a goroutine of its own.
func (p *processes) launch(argv []string, dir string, env []string, stdout, stderr io.WriteCloser) (*group, error) {
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // ended by group, with its descendants
	cmd.Dir, cmd.Env = dir, env
	var outputs []*output
	closeAll := func() {
		for _, o := range outputs {
			o.pipe.Close()
		}
	}
	for i, to := range []io.WriteCloser{stdout, stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll()
			return nil, err
		}
		defer w.Close() // the child has its own copy
		outputs = append(outputs, &output{r, to, make(chan struct{})})
		if i == 0 {
			cmd.Stdout = w
		} else {
			cmd.Stderr = w
		}
	}
	g, err := p.start(cmd)
	if err != nil {
		closeAll()
		return nil, err
	}
	g.outputs = outputs
	for _, o := range outputs {
		go o.read()
	}
	return g, nil
}

// start starts cmd as the leader of a new process group.
func (p *processes) start(cmd *exec.Cmd) (*group, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Held until the group is known: reap must not take the exit status of a child that ends at once.
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := &group{owner: p, id: cmd.Process.Pid, ended: make(chan struct{})}
	p.groups[g.id] = g
	err := p.record()
	go func() {
		g.err = cmd.Wait()
		close(g.ended)
		p.forget(g)
	}()
	if err != nil {
		// Nobody could find this group if we were killed, so it must not live.
		g.signal(syscall.SIGKILL)
		return nil, err
	}
	return g, nil
}

// forget drops a group of which nothing lives any more.
func (p *processes) forget(g *group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.groups[g.id] == g && g.over() {
		delete(p.groups, g.id)
		_ = p.record() // a group too many in the file is harmless: its members are looked at before they are ended
	}
}

func (p *processes) record() error {
	return p.status.update(func(s *sandbox.GuestStatus) {
		s.Groups = s.Groups[:0]
		for id := range p.groups {
			s.Groups = append(s.Groups, id)
		}
		slices.Sort(s.Groups)
	})
}

// list returns the groups that may have living members.
func (p *processes) list() []*group {
	p.mu.Lock()
	defer p.mu.Unlock()
	groups := make([]*group, 0, len(p.groups))
	for _, g := range p.groups {
		groups = append(groups, g)
	}
	return groups
}

// end ends everything that was started, descendants that left their group included: SIGTERM, the patience
// given, SIGKILL. It reports whether all is gone.
func (p *processes) end(patience time.Duration) bool {
	groups := p.list()
	if patience > 0 {
		for _, g := range groups {
			g.signal(syscall.SIGTERM)
		}
		p.signalDescendants(syscall.SIGTERM)
		if wait(patience, func() bool { return p.gone(groups) }) {
			p.drain(groups)
			return true
		}
	}
	gone := wait(killWait, func() bool {
		for _, g := range groups {
			g.signal(syscall.SIGKILL)
		}
		p.signalDescendants(syscall.SIGKILL)
		return p.gone(groups)
	})
	p.drain(groups)
	return gone
}

// close ends everything and lets nothing start any more. What the kernel does not let go is told in the log.
func (p *processes) close(patience time.Duration, log *phaseLog) {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	if !p.end(patience) {
		log.system("some processes of the project did not end within %s of SIGKILL", killWait)
	}
}

func (p *processes) gone(groups []*group) bool {
	p.reap()
	for _, g := range groups {
		if !g.over() {
			return false
		}
	}
	return !p.adopted || len(descendants(os.Getpid())) == 0
}

func (p *processes) drain(groups []*group) {
	for _, g := range groups {
		g.drain()
		p.forget(g)
	}
}

func (p *processes) signalDescendants(s syscall.Signal) {
	if !p.adopted {
		return
	}
	for _, pid := range descendants(os.Getpid()) {
		_ = syscall.Kill(pid, s) // gone already, or gone when we look again
	}
}

// end ends one group and reports whether it is gone.
func (g *group) end(patience time.Duration) bool {
	over := func() bool { g.owner.reap(); return g.over() }
	gone := false
	if patience > 0 {
		g.signal(syscall.SIGTERM)
		gone = wait(patience, over)
	}
	if !gone {
		gone = wait(killWait, func() bool { g.signal(syscall.SIGKILL); return over() })
	}
	g.drain()
	g.owner.forget(g)
	return gone
}

// finish ends a group whose leader has closed its output and so is about to end by itself. It returns how the
// leader ended.
func (g *group) finish(ctx context.Context) error {
	select {
	case <-g.ended:
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	if !g.end(0) {
		return errors.New("does not end")
	}
	return g.err
}

// over reports that the leader was reaped and no member is left. Until then the kernel gives the id to
// nobody else.
func (g *group) over() bool {
	select {
	case <-g.ended:
		return errors.Is(syscall.Kill(-g.id, 0), syscall.ESRCH)
	default:
		return false
	}
}

func (g *group) signal(s syscall.Signal) {
	if !g.over() {
		_ = syscall.Kill(-g.id, s) // gone in between
	}
}

// drain waits until the output of an ended group is read. A descendant that escaped may hold a pipe open:
// then reading stops.
func (g *group) drain() {
	deadline := time.After(time.Second)
	for _, o := range g.outputs {
		select {
		case <-o.done:
		case <-deadline:
			o.pipe.Close()
			<-o.done
			deadline = time.After(0)
		}
	}
}

func (o *output) read() {
	defer close(o.done)
	defer o.to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := o.pipe.Read(buf)
		_, _ = o.to.Write(buf[:n]) // never fails
		if err != nil {
			o.pipe.Close()
			return
		}
	}
}

// wait asks until it is so or the time is over, and reports which.
func wait(limit time.Duration, so func() bool) bool {
	end := time.Now().Add(limit)
	for pause := pollMin; ; pause = min(pause*2, pollMax) {
		if so() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		time.Sleep(pause)
	}
}
