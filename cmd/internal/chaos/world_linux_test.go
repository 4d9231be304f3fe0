package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/chaos"
	"vibesdk-gcp/gateway/client"
)

const (
	workers = 32
	// Slots are sessions that are written to at the same time. A slot begins a new session before the old one forgets its first
	// mutations: session.RingSize is 1024, and the runs of a job are mutations as well.
	listSlots, mutationsOfASession = 8, 800
	jobSlots, jobsOfASession       = 3, 60
	maxSandboxes                   = 30

	closedLimit, openLimit = "chaos-closed", "chaos-open"
	limitOf                = 40
	limitsFile             = `{"chaos-closed":{"limit":40,"period":86400,"onFailure":"closed"},"chaos-open":{"limit":40,"period":86400,"onFailure":"open"}}`

	faultRatio = 0.1

	// startFor is how long programs may take to work, on a machine that does other things as well.
	startFor = 3 * time.Minute
)

// world is one run.
type world struct {
	t        *testing.T
	seed     uint64
	history  *chaos.History
	network  *network
	fleet    *fleet
	host     *agentHost
	backends []*backend
	gateways []string
	routers  []string
	// look adds what only this configuration has to what is there in the end.
	look func(ctx context.Context, f *chaos.Final) error
	// hostile make things go wrong, each until its context ends and with random choices of its own.
	hostile []func(context.Context, *rand.Rand) error
	// heal ends what outlasts them.
	heal func()

	charges atomic.Int64

	mu          sync.Mutex
	slots       map[string]*slot
	operations  map[string]int
	surprises   map[string]int
	failures    map[string]int
	redisKilled []time.Time
	nemesis     []string
}

// slot is the session that is written to at present.
type slot struct {
	mu    sync.Mutex
	epoch int
	used  int
	made  bool
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	h := chaos.NewHistory()
	w := &world{
		t: t, seed: seed, history: h, network: newNetwork(), host: newAgentHost(t, h, seed), heal: func() {},
		slots: map[string]*slot{}, operations: map[string]int{}, surprises: map[string]int{}, failures: map[string]int{},
	}
	w.hostile = []func(context.Context, *rand.Rand) error{w.hurtPrograms, w.hurtBackends}
	return w
}

// base is the environment of every program.
func (w *world) base() map[string]string {
	w.t.Helper()
	limits := filepath.Join(w.t.TempDir(), "limits.json")
	if err := os.WriteFile(limits, []byte(limitsFile), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return map[string]string{
		"PATH": os.Getenv("PATH"), "LOG_FORMAT": "text", "LOG_LEVEL": "warn", "LIMITS_FILE": limits, "LIMIT_TIMEOUT": "500ms", "CALLBACK_TIMEOUT": "1s",
		"AGENT_HOST_URL": "http://" + w.network.to(w.t, "agent host", w.host.Listener.Addr().String()),
		"FAULTS":         fmt.Sprintf("%g:%d", faultRatio, w.seed), "SANDBOX_TTL": "5m",
	}
}

// session returns the present session of a slot, which has been made.
func (c *worker) session(ctx context.Context, kind string, n, most int) (string, bool) {
	name := fmt.Sprintf("%s%d", kind, n)
	c.mu.Lock()
	s := c.slots[name]
	if s == nil {
		s = &slot{}
		c.slots[name] = s
	}
	c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == most {
		s.epoch, s.used, s.made = s.epoch+1, 0, false
	}
	s.used++
	id := fmt.Sprintf("%s-%d", name, s.epoch)
	for !s.made {
		if ctx.Err() != nil {
			return "", false
		}
		call, cancel := context.WithTimeout(ctx, callTimeout)
		result, err := c.api.Sessions().Initialize(call, id, []byte(`{"list":[]}`), client.WriteOptions{MutationID: "init-" + id})
		cancel()
		if s.made = c.outcome("initialize", err, chaos.Applied) == chaos.Applied && result.Code != client.Pending; !s.made {
			pause(ctx, time.Duration(c.rand.IntN(200))*time.Millisecond)
		}
		if s.made && result.Version != 1 {
			c.surprise("session %s was made as version %d", id, result.Version)
		}
	}
	return id, true
}

func (w *world) count(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.operations[kind]++
}

// fail notes an answer by which the server says that it is at fault, where it should say that something behind it is away.
func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures[fmt.Sprintf(format, args...)]++
}

// surprise notes an answer that no client may get, faults or not.
func (w *world) surprise(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.surprises[fmt.Sprintf(format, args...)]++
}

// run lets clients and faults go on for some time, ends the faults and waits until all is well.
func (w *world) run(length time.Duration) {
	w.t.Helper()
	defer w.fleet.close() // before the back ends go
	w.awaitStart()
	ctx, cancel := context.WithTimeout(w.t.Context(), length)
	defer cancel()
	var busy sync.WaitGroup
	for n := range workers + 1 {
		c, err := newWorker(w, n)
		if err != nil {
			w.t.Fatal(err)
		}
		if n == workers {
			busy.Go(func() { c.sandboxes(ctx) })
		} else {
			busy.Go(func() { c.work(ctx) })
		}
	}
	for n, hostile := range w.hostile {
		busy.Go(func() {
			if err := hostile(ctx, rand.New(rand.NewPCG(w.seed, uint64(1_000_000+n)))); err != nil {
				w.t.Errorf("faults: %v", err)
			}
		})
	}
	busy.Wait()
	began := time.Now()
	w.calm()
	if !w.settle() {
		return
	}
	w.t.Logf("all is well %s after the faults ended", time.Since(began).Round(100*time.Millisecond))
}

// awaitStart waits until the programs are up, and a mutation has gone all the way: a run is about those that work.
func (w *world) awaitStart() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), startFor)
	defer cancel()
	for n, door := range slices.Concat(w.gateways, w.routers) {
		api, err := client.New("http://"+door, client.Options{RetryFor: -1})
		if err != nil {
			w.t.Fatal(err)
		}
		for {
			var result client.MutationResult
			if n < len(w.gateways) {
				result, err = api.Sessions().Initialize(ctx, fmt.Sprint("first-", n), []byte(`{}`), client.WriteOptions{MutationID: "first"})
			} else if _, err = api.Sandboxes().List(ctx); err != nil && !errors.Is(err, client.ErrUnreachable) {
				err = nil // a router has no API, and says so
			}
			if err == nil && result.Code != client.Pending {
				break
			}
			if ctx.Err() != nil {
				w.t.Fatalf("%s does not work: %s, %v", door, result.Code, err)
			}
			pause(ctx, 50*time.Millisecond)
		}
	}
}

// calm ends all faults.
func (w *world) calm() {
	w.t.Helper()
	w.heal()
	w.host.faulty.Store(false)
	for _, name := range w.network.names {
		if err := w.network.links[name].mend(); err != nil {
			w.t.Errorf("mend the link to %s: %v", name, err)
		}
	}
	var healing sync.WaitGroup
	for _, p := range w.fleet.processes {
		healing.Go(p.heal)
	}
	healing.Wait()
}
