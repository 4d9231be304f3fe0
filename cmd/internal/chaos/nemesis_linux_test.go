package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"vibesdk-gcp/internal/crashpoint"

	// Its crash points are those of the programs.
	_ "vibesdk-gcp/cmd/internal/app"
)

// backend is a server behind the programs.
type backend struct {
	name string
	// kill and start end it as a crash does, and begin it again; nil when it would lose everything.
	kill, start func() error
	// pause and resume freeze it; nil when that is not possible.
	pause, resume func() error
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nemesis = append(w.nemesis, fmt.Sprintf(format, args...))
}

func millis(rng *rand.Rand, from, to int) time.Duration {
	return time.Duration(from+rng.IntN(to-from)) * time.Millisecond
}

// hurtPrograms kills and freezes programs until ctx ends. Of those killed, some come back with a crash point armed, to die where it hurts.
func (w *world) hurtPrograms(ctx context.Context, rng *rand.Rand) error {
	points := crashpoint.Names()
	for ctx.Err() == nil {
		pause(ctx, millis(rng, 200, 1800))
		p := w.fleet.processes[rng.IntN(len(w.fleet.processes))]
		if rng.IntN(4) == 0 {
			frozen := millis(rng, 200, 4000)
			w.note("freeze %s for %s", p.name, frozen)
			p.signal(syscall.SIGSTOP)
			pause(ctx, frozen)
			p.signal(syscall.SIGCONT)
			continue
		}
		point, away := "", millis(rng, 0, 1500)
		if rng.IntN(2) == 0 {
			point = fmt.Sprintf("%s:%d", points[rng.IntN(len(points))], 1+rng.IntN(20))
		}
		w.note("kill %s, away for %s, then %q", p.name, away, point)
		p.kill(away, point)
	}
	return nil
}

// hurtBackends kills and freezes back ends, and slows, breaks and cuts the ways to them, until ctx ends.
func (w *world) hurtBackends(ctx context.Context, rng *rand.Rand) error {
	for ctx.Err() == nil {
		pause(ctx, millis(rng, 200, 1500))
		var err error
		if n := rng.IntN(len(w.network.names) + len(w.backends)); n < len(w.backends) {
			err = w.hurtBackend(ctx, rng, w.backends[n])
		} else {
			name := w.network.names[n-len(w.backends)]
			err = w.hurtLink(ctx, rng, name, w.network.links[name])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) hurtBackend(ctx context.Context, rng *rand.Rand, b *backend) error {
	away := millis(rng, 100, 2000)
	freeze := rng.IntN(2) == 0
	if (freeze || b.kill == nil) && b.pause != nil {
		w.note("freeze %s for %s", b.name, away)
		if err := b.pause(); err != nil {
			return err
		}
		pause(ctx, away)
		return b.resume()
	}
	if b.kill == nil {
		return nil
	}
	w.note("kill %s for %s", b.name, away)
	if b.name == "Redis" {
		w.mu.Lock()
		w.redisKilled = append(w.redisKilled, time.Now())
		w.mu.Unlock()
	}
	err := b.kill()
	pause(ctx, away)
	return errors.Join(err, b.start())
}

func (w *world) hurtLink(ctx context.Context, rng *rand.Rand, name string, l *link) error {
	var err error
	how := [...]string{"slow", "reset", "hang", "cut"}[rng.IntN(4)]
	size := rng.IntN(200)
	lasts := millis(rng, 200, 2500)
	w.note("%s the link to %s by %d for %s", how, name, size, lasts)
	switch how {
	case "slow":
		err = l.slow(size, size/2)
	case "reset":
		err = l.reset(size)
	case "hang":
		err = l.hang()
	default:
		err = l.cut()
	}
	pause(ctx, lasts)
	return errors.Join(err, l.mend())
}
