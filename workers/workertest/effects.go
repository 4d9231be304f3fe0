package workertest

import (
	"context"
	"fmt"
	"sync"
)

// Effects is where a [World]'s drivers tell that an effect has happened, so that a crash can be put right after it.
// Its methods are safe for concurrent use.
type Effects struct {
	mu    sync.Mutex
	names []string
	at    int // crash after this many effects; 0 is never
	crash func(name string) error
}

// Did is called after each outside effect: a record stored, a resource made or removed. It returns nil, or an error
// that the driver returns instead of its own: the effect has happened, the answer got lost. It may also panic,
// as the sign of a crash.
func (e *Effects) Did(name string) error {
	e.mu.Lock()
	e.names = append(e.names, name)
	crash := e.crash
	if e.at == 0 || len(e.names) != e.at {
		crash = nil
	}
	e.mu.Unlock()
	if crash == nil {
		return nil
	}
	return crash(name)
}

// after tells of an effect unless it failed. A nil receiver watches nothing.
func (e *Effects) after(err error, name string) error {
	if err != nil || e == nil {
		return err
	}
	return e.Did(name)
}

// reset forgets what was counted and lets crash happen after the n-th effect from now.
func (e *Effects) reset(n int, crash func(name string) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.names, e.at, e.crash = nil, n, crash
}

func (e *Effects) seen() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.names...)
}

// crashed is what a handler is ended with.
type crashed struct{ after string }

func (c crashed) String() string { return "crash after " + c.after }

func panics(name string) error { panic(crashed{name}) }

func answerLost(name string) error {
	return fmt.Errorf("answer to %s lost: %w", name, context.DeadlineExceeded)
}
