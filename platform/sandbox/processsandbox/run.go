package processsandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const terminate = syscall.SIGTERM

// trigger starts a phase unless it was triggered before. The caller has entered the generation.
func (d *Driver) trigger(g *generation, p *phase, t sandbox.Task) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.triggered {
		return nil
	}
	if err := errors.Join(os.MkdirAll(g.dir, 0o700), d.writeTask(p, t)); err != nil {
		return fmt.Errorf("%w: %w", sandbox.ErrUnavailable, err)
	}
	afterTask.Hit()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("%w: it is closed", sandbox.ErrUnavailable)
	}
	p.triggered = true
	d.running.Go(func() { p.finish(d.run(p, t.Deadline)) })
	return nil
}

// run sees a phase through to its end and returns what became of it.
func (d *Driver) run(p *phase, deadline time.Time) view {
	log, err := os.OpenFile(p.g.file(p.kind, ".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return p.interruption(err.Error())
	}
	defer log.Close()
	if p.kind == sandbox.PhaseBuild {
		if broken, ok := d.takeSlot(p, log, deadline); !ok {
			return broken
		}
		defer func() { <-d.slots }()
	}
	child, err := d.start(p, log)
	if err != nil {
		return p.interruption(err.Error())
	}
	defer child.lifeline.Close()
	overdue := false
	if p.kind == sandbox.PhaseBuild {
		backstop := time.NewTimer(time.Until(deadline) + deadlineSlack)
		defer backstop.Stop()
		select {
		case <-child.exited:
		case <-backstop.C:
			overdue = true
			p.kill(child.cmd.Process)
		}
	}
	<-child.exited
	d.clearAfter(p, child)
	return p.outcome(child.cmd.ProcessState.String(), overdue)
}

// takeSlot waits for the turn of a build.
func (d *Driver) takeSlot(p *phase, log *os.File, deadline time.Time) (view, bool) {
	select {
	case d.slots <- struct{}{}:
		return view{}, true
	default:
	}
	logLine(log, "waiting for a free build slot")
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case d.slots <- struct{}{}:
		return view{}, true
	case <-p.quit:
		return p.interruption(p.quitReason()), false
	case <-late.C:
		v := p.interruption("")
		v.interrupted, v.Reason = false, "build timed out while waiting for a free build slot"
		_ = p.file.write(v.GuestStatus) // without it a later owner calls it interrupted, which is as true
		return v, false
	}
}

// child is a running sandboxd.
type child struct {
	cmd      *exec.Cmd
	started  time.Time
	lifeline *os.File
	exited   chan struct{}
}

// start starts sandboxd, unless the phase was told to end meanwhile.
func (d *Driver) start(p *phase, log *os.File) (*child, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	cmd := exec.Command(d.o.Sandboxd, string(p.kind), "--task", p.g.file(p.kind, ".task.json"), "--lifeline-fd", "3") //nolint:noctx // it outlives the call; phase.end ends it
	cmd.Dir, cmd.Env = p.g.dir, environ(d.childEnv(p.g))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{reader}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quitting != "" {
		return nil, errors.Join(errors.New(p.quitting), writer.Close())
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("sandboxd could not be started: %w", err), writer.Close())
	}
	afterStart.Hit()
	p.process = cmd.Process
	c := &child{cmd: cmd, started: started, lifeline: writer, exited: make(chan struct{})}
	go func() {
		defer close(c.exited)
		_ = cmd.Wait() // the state tells
	}()
	// Without the record a later owner still finds it by its environment or sees it end by the lifeline.
	if err := writeFile(p.g.file(p.kind, ".pid"), pidRecord{PID: cmd.Process.Pid, Started: started}); err != nil {
		d.o.Logger.Warn("sandbox process is not recorded", slog.String("sandbox_id", p.g.ref.ID), slog.Any("error", err))
	}
	return c, nil
}

// clearAfter kills what the phase left behind.
func (d *Driver) clearAfter(p *phase, c *child) {
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	p.mu.Lock()
	known := p.escaping
	status := p.file.read()
	p.mu.Unlock()
	killed, err := d.killAll(ctx, selection{
		below: p.g.dir, since: c.started, known: known,
		recorded: []recorded{{pidRecord: pidRecord{Started: c.started}, groups: status.Groups, until: status.UpdatedAt}},
	})
	if killed > 0 || err != nil {
		d.o.Logger.Warn("sandbox left processes behind", slog.String("sandbox_id", p.g.ref.ID), slog.Int64("fence", p.g.ref.Fence),
			slog.String("phase", string(p.kind)), slog.Int("killed", killed), slog.Any("error", err))
	}
}

// outcome is what became of a phase whose sandboxd has exited.
func (p *phase) outcome(exit string, overdue bool) view {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.file.readAt = time.Time{} // the last word counts
	v := view{GuestStatus: p.file.read()}
	switch {
	case v.Progress == sandbox.Broken, v.Progress == sandbox.Done && p.kind == sandbox.PhaseBuild:
		return v
	case p.quitting != "":
		return p.interruption(p.quitting)
	}
	v = p.interruption("")
	v.interrupted, v.Reason = false, "sandboxd ended unexpectedly: "+exit
	if overdue {
		v.Reason = "build timed out and had to be killed"
	}
	_ = p.file.write(v.GuestStatus) // without it a later owner calls it interrupted
	return v
}

func (p *phase) quitReason() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quitting
}
