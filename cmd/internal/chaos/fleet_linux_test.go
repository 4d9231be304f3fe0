package chaos_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fleet are the programs of a run. Whatever ends is started again, as a supervisor does.
type fleet struct {
	vibed     string
	logs      string // a folder
	processes []*process
	stop      chan struct{}
	running   sync.WaitGroup
}

// process is one program with its roles, over all its lives.
type process struct {
	name  string
	roles []string
	env   map[string]string
	fleet *fleet

	mu     sync.Mutex
	cmd    *exec.Cmd // nil between two lives
	armed  string    // the crash point of the next life
	faults string    // FAULTS of the next life
	delay  time.Duration
	lives  int
	ends   map[string]int // how lives ended
}

// restartDelay is how long an ended program stays away when nobody says otherwise: the time of a supervisor, so that one that cannot
// start does not take the machine from the others.
const restartDelay = 100 * time.Millisecond

func newFleet(t *testing.T, vibed string) *fleet {
	t.Helper()
	f := &fleet{vibed: vibed, logs: t.TempDir(), stop: make(chan struct{})}
	if dir := os.Getenv("CHAOS_LOGS"); dir != "" {
		f.logs = filepath.Join(dir, t.Name())
		if err := errors.Join(os.RemoveAll(f.logs), os.MkdirAll(f.logs, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(f.close)
	return f
}

// add starts a program. base is the environment that all have.
func (f *fleet) add(name string, base, own map[string]string, roles ...string) *process {
	env := maps.Clone(base)
	maps.Copy(env, own)
	p := &process{name: name, roles: roles, env: env, fleet: f, faults: base["FAULTS"], ends: map[string]int{}}
	f.processes = append(f.processes, p)
	f.running.Go(p.supervise)
	return p
}

func (f *fleet) close() {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	for _, p := range f.processes {
		p.signal(syscall.SIGKILL)
	}
	f.running.Wait()
}

// supervise starts the program again and again, from one thread: the kernel ends the program when the thread that started it is gone, so
// that none outlives this test.
func (p *process) supervise() {
	runtime.LockOSThread()
	for {
		select {
		case <-p.fleet.stop:
			return
		default:
		}
		how := p.live()
		p.mu.Lock()
		delay := max(p.delay, restartDelay)
		p.ends[how]++
		p.cmd, p.delay = nil, 0
		p.mu.Unlock()
		select {
		case <-p.fleet.stop:
			return
		case <-time.After(delay):
		}
	}
}

// live runs the program once and says how it ended.
func (p *process) live() string {
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err.Error()
	}
	defer log.Close()
	p.mu.Lock()
	cmd := exec.Command(p.fleet.vibed, p.roles...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = []string{}
	for name, value := range p.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "CRASHPOINT="+p.armed, "FAULTS="+p.faults)
	point := p.armed
	p.armed = ""
	fmt.Fprintf(log, "——— life %d, %s\n", p.lives+1, point)
	if err := cmd.Start(); err != nil {
		p.mu.Unlock()
		return err.Error()
	}
	p.cmd = cmd
	p.lives++
	p.mu.Unlock()
	err = cmd.Wait()
	fmt.Fprintf(log, "——— ended: %v\n", err)
	if err == nil {
		return "exit 0"
	}
	return err.Error()
}

func (p *process) log() string { return filepath.Join(p.fleet.logs, p.name) }

// signal sends a signal to the program, if it runs.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(sig) // it may have ended just now
	}
}

// kill ends the program with SIGKILL. It comes back after the delay, armed with a crash point unless that is empty.
func (p *process) kill(delay time.Duration, point string) {
	p.mu.Lock()
	p.delay, p.armed = delay, point
	p.mu.Unlock()
	p.signal(syscall.SIGKILL)
}

// endFor is how long a program may take to begin its next life.
const endFor = 30 * time.Second

// heal ends the program for the last time, and returns when it has begun its next life, which has no faults.
func (p *process) heal() {
	p.mu.Lock()
	p.faults = ""
	before := p.lives
	if p.cmd == nil {
		before-- // between two lives: the next is without faults already
	}
	p.mu.Unlock()
	p.signal(syscall.SIGCONT)
	p.kill(0, "")
	for end := time.Now().Add(endFor); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		begun := p.cmd != nil && p.lives > before
		p.mu.Unlock()
		if begun {
			return
		}
		if time.Now().After(end) {
			return // settling tells
		}
	}
}

// dump makes each program say what its goroutines do, and end.
func (f *fleet) dump() {
	for _, p := range f.processes {
		p.signal(syscall.SIGQUIT)
	}
	time.Sleep(time.Second) // they write to a file, and nothing waits for that but people
}

// report says how often each program lived and how its lives ended.
func (f *fleet) report() string {
	var text strings.Builder
	for _, p := range f.processes {
		p.mu.Lock()
		fmt.Fprintf(&text, "%s: %d lives, %v\n", p.name, p.lives, p.ends)
		p.mu.Unlock()
	}
	return text.String()
}

// panics returns the lines by which programs say that they broke.
func (f *fleet) panics() (found []string) {
	for _, p := range f.processes {
		body, err := os.ReadFile(p.log())
		if err != nil {
			continue // it never began
		}
		for line := range bytes.Lines(body) {
			if bytes.Contains(line, []byte("panic:")) || bytes.HasPrefix(line, []byte("fatal error:")) {
				found = append(found, p.name+": "+strings.TrimSpace(string(line)))
			}
		}
	}
	return found
}

// tails returns the end of what each program said.
func (f *fleet) tails(most int) string {
	var text strings.Builder
	for _, p := range f.processes {
		body, err := os.ReadFile(p.log())
		if err != nil {
			continue
		}
		fmt.Fprintf(&text, "=== %s\n%s\n", p.name, body[max(0, len(body)-most):])
	}
	return text.String()
}

func (f *fleet) lives(of string) (n int) {
	for _, p := range f.processes {
		if slices.Contains(p.roles, of) {
			p.mu.Lock()
			n += p.lives
			p.mu.Unlock()
		}
	}
	return n
}
