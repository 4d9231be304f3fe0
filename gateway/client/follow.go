package client

import (
	"context"
	"io"
	"time"
)

// Progress is told what happens to a sandbox. Each field may be nil. Calls are not concurrent with each other
// but for Log, which is written to while the others are called.
type Progress struct {
	// Queued is called once, before there is a record.
	Queued func()
	// Changed is called at each change.
	Changed func(Sandbox)
	// Log gets the build log while the build runs.
	Log io.Writer
}

// logGrace is how long the end of a build log may lag behind the record.
const logGrace = 3 * time.Second

// Follow reports on a sandbox until it is ready or has ended, and returns it then. A sandbox that failed is no
// error of Follow: look at its state.
func (s *Sandboxes) Follow(ctx context.Context, id string, p Progress) (Sandbox, error) {
	if p.Queued != nil {
		p.Queued()
	}
	if _, err := s.await(ctx, id); err != nil {
		return Sandbox{}, err
	}
	build := buildLog{s: s, id: id, to: p.Log}
	for now, err := range s.Watch(ctx, id) {
		if err != nil {
			build.stop()
			return Sandbox{}, err
		}
		done := now.State == Ready || now.State.Ended()
		if !done {
			build.start(ctx, now.Generation)
		} else {
			build.finish(ctx)
		}
		if p.Changed != nil {
			p.Changed(now)
		}
		if done {
			return now, nil
		}
	}
	return Sandbox{}, context.Cause(ctx)
}

// buildLog copies the build log of one generation at a time.
type buildLog struct {
	s  *Sandboxes
	id string
	to io.Writer

	generation int64
	cancel     context.CancelFunc
	done       chan struct{}
}

func (b *buildLog) start(ctx context.Context, generation int64) {
	if b.to == nil || b.generation == generation {
		return
	}
	b.stop()
	b.generation = generation
	ctx, b.cancel = context.WithCancel(ctx)
	b.done = make(chan struct{})
	go func(done chan<- struct{}) {
		defer close(done)
		stream, err := b.s.Logs(ctx, b.id, LogOptions{Phase: "build", Follow: true})
		if err != nil {
			return // the record says how it goes; a log that cannot be read is not the caller's trouble
		}
		defer stream.Close()
		_, _ = io.Copy(b.to, stream) // as above
	}(b.done)
}

// finish waits for the end of the log, for a bounded time.
func (b *buildLog) finish(ctx context.Context) {
	if b.done == nil {
		return
	}
	timer := time.NewTimer(logGrace)
	defer timer.Stop()
	select {
	case <-b.done:
	case <-ctx.Done():
	case <-timer.C:
	}
	b.stop()
}

func (b *buildLog) stop() {
	if b.done == nil {
		return
	}
	b.cancel()
	<-b.done
	b.done = nil
}
