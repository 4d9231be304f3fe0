package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"vibesdk-gcp/cmd/internal/chaos"
	"vibesdk-gcp/gateway/client"
)

// errLostAnswer is what became of a tenth of all calls: they have their effect, and nobody learns of it.
var errLostAnswer = errors.New("the answer was lost on the way")

// lossy loses the answers of a tenth of the calls.
type lossy struct {
	mu   sync.Mutex
	rand *rand.Rand
}

// RoundTrip implements http.RoundTripper.
func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	lost := l.rand.IntN(10) == 0
	l.mu.Unlock()
	if !lost {
		return res, nil
	}
	_, _ = io.Copy(io.Discard, res.Body) // it had its effect
	res.Body.Close()
	return nil, errLostAnswer
}

// worker is one client, who does one thing after the other.
type worker struct {
	*world

	n    int
	rand *rand.Rand
	api  *client.Client
	made int // ids of this worker
	done map[string]int
}

func newWorker(w *world, n int) (*worker, error) {
	seed := func(stream int) *rand.Rand { return rand.New(rand.NewPCG(w.seed, uint64(1000*n+stream))) }
	api, err := client.New("http://"+w.gateways[n%len(w.gateways)], client.Options{RetryFor: -1, HTTP: &http.Client{Transport: &lossy{rand: seed(1)}}})
	return &worker{world: w, n: n, rand: seed(2), api: api, done: map[string]int{}}, err
}

func (c *worker) chance(percent int) bool { return c.rand.IntN(100) < percent }

func (c *worker) id(kind string) string {
	c.made++
	return fmt.Sprintf("%s%d-%d", kind, c.n, c.made)
}

// work does things until ctx ends.
func (c *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		switch dice := c.rand.IntN(100); {
		case dice < 62:
			c.append(ctx)
		case dice < 64:
			c.poison(ctx)
		case dice < 79:
			c.charge(ctx)
		case dice < 88:
			c.job(ctx)
		case dice < 96:
			c.read(ctx)
		default:
			c.tick(ctx)
		}
	}
}

// callTimeout is how long a worker waits for an answer. Giving up is one more way not to learn an outcome.
const callTimeout = 2 * time.Second

// insist sends something until an answer says what became of it, twice in a tenth of the cases, and leaves a third of the unknown
// as they are.
func (c *worker) insist(ctx context.Context, send func(ctx context.Context) chaos.Outcome) {
	again := c.chance(10)
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		outcome := send(call)
		cancel()
		switch {
		case outcome == chaos.Unknown && c.chance(30):
			return
		case outcome == chaos.Unknown:
			pause(ctx, time.Duration(c.rand.IntN(100))*time.Millisecond)
		case again:
			again = false
		default:
			return
		}
	}
}

// outcome reads the answer of a call that has an effect.
func (c *worker) outcome(kind string, err error, success chaos.Outcome) chaos.Outcome {
	c.count(kind)
	switch {
	case err == nil:
		return success
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, client.ErrUnreachable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return chaos.Unknown
	case errors.Is(err, client.ErrRejected), errors.Is(err, client.ErrConflict), errors.Is(err, client.ErrNotFound), errors.Is(err, client.ErrTooLarge):
		c.surprise("%s was rejected: %v", kind, err)
		return chaos.Rejected
	default:
		c.fail("%s: %v", kind, err)
		return chaos.Unknown
	}
}

func (c *worker) append(ctx context.Context) {
	session, ok := c.session(ctx, "s", c.rand.IntN(listSlots), mutationsOfASession)
	if !ok {
		return
	}
	id := c.id("m")
	c.history.Invoke(session, id)
	c.insist(ctx, func(ctx context.Context) chaos.Outcome {
		outcome, version := c.sendAppend(ctx, session, id)
		c.history.Told(id, outcome, version)
		return outcome
	})
}

// sendAppend appends an id to the list of a session, in one of the ways that there are.
func (c *worker) sendAppend(ctx context.Context, session, id string) (chaos.Outcome, int64) {
	value := []byte(strconv.Quote(id))
	if way := c.rand.IntN(5); way > 1 {
		result, err := c.api.Sessions().Append(ctx, session, client.PartState, "/list", value, client.WriteOptions{MutationID: id, Async: way > 2})
		success := chaos.Applied
		if result.Code == client.Pending {
			success = chaos.Accepted
		}
		return c.outcome("append", err, success), result.Version
	}
	data, err := json.Marshal(map[string]any{"mutationId": id, "sessionId": session, "kind": "APPEND", "path": "/list", "payload": string(value)})
	if err == nil {
		_, err = c.api.Publish(ctx, "state-mutations", client.Message{Data: data, OrderingKey: session, Attributes: map[string]string{"ce-id": id}})
	}
	return c.outcome("publish", err, chaos.Accepted), 0
}

// poison publishes a mutation of another session than its key.
func (c *worker) poison(ctx context.Context) {
	session, ok := c.session(ctx, "s", c.rand.IntN(listSlots), mutationsOfASession)
	if !ok {
		return
	}
	id := c.id("p")
	data := fmt.Appendf(nil, `{"mutationId":%q,"sessionId":"other","kind":"APPEND","path":"/list","payload":"1"}`, id)
	c.history.ToldPoison(id, chaos.Unknown)
	c.insist(ctx, func(ctx context.Context) chaos.Outcome {
		_, err := c.api.Publish(ctx, "state-mutations", client.Message{Data: data, OrderingKey: session, Attributes: map[string]string{"ce-id": id}})
		outcome := c.outcome("poison", err, chaos.Accepted)
		c.history.ToldPoison(id, outcome)
		return outcome
	})
}

// charge charges one of a few identifiers, more often than the limit admits.
func (c *worker) charge(ctx context.Context) {
	names := []string{closedLimit, openLimit}
	charge := chaos.Charge{
		Limit: names[c.rand.IntN(len(names))], Identifier: fmt.Sprintf("user:%d", c.charges.Add(1)/(4*limitOf)), Begun: time.Now(),
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	result, err := c.api.Limits().Increment(ctx, client.LimitCharge{Limit: charge.Limit, Identifier: charge.Identifier, N: 1})
	charge.Ended, charge.Degraded = time.Now(), result.Degraded
	charge.Outcome = c.outcome("charge", err, chaos.Applied)
	if err == nil && !result.Success {
		charge.Outcome = chaos.Rejected
	}
	c.history.Charged(charge)
}

// job queues or schedules a callback.
func (c *worker) job(ctx context.Context) {
	session, ok := c.session(ctx, "j", c.rand.IntN(jobSlots), jobsOfASession)
	if !ok {
		return
	}
	j := chaos.Job{Session: session, ID: c.id("j"), Queued: c.chance(50)}
	delay := float64(c.rand.IntN(30)) / 10
	j.NotBefore = time.Now()
	if !j.Queued {
		j.NotBefore = j.NotBefore.Add(time.Duration(delay * float64(time.Second)))
	}
	c.history.InvokeJob(j)
	retry := client.Retry{MaxAttempts: 1000, BaseDelayMS: 50, MaxDelayMS: 500}
	c.insist(ctx, func(ctx context.Context) chaos.Outcome {
		o := client.WriteOptions{MutationID: j.ID}
		var result client.MutationResult
		var err error
		if j.Queued {
			result, err = c.api.Sessions().Enqueue(ctx, session, client.EnqueueRequest{ID: j.ID, Callback: "work", Retry: retry}, o)
		} else {
			result, err = c.api.Sessions().Schedule(ctx, session, client.ScheduleRequest{ID: j.ID, Callback: "work", DelaySeconds: &delay, Retry: retry}, o)
		}
		success := chaos.Applied
		if result.Code == client.Pending {
			success = chaos.Accepted
		}
		outcome := c.outcome("job", err, success)
		c.history.ToldJob(j.ID, outcome)
		return outcome
	})
}

// read looks at a session, which must not be older than what anybody was told.
func (c *worker) read(ctx context.Context) {
	session, ok := c.session(ctx, "s", c.rand.IntN(listSlots), mutationsOfASession)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	floor := c.history.Floor(session)
	got, err := c.api.Sessions().Read(ctx, session, client.PartState)
	if c.outcome("read", err, chaos.Applied) == chaos.Applied {
		c.history.Saw(session, floor, got.Version)
	}
}

var ticks = []string{
	"STALE_SANDBOXES", "ORPHANED_SANDBOXES", "DUE_JOBS", "STALE_SESSIONS", "ORPHANED_CHUNKS", "RATE_LIMIT_BUCKETS", "DEAD_LETTERS", "EXPIRED_FILES",
}

// tick does what the clock does, too often.
func (c *worker) tick(ctx context.Context) {
	data := fmt.Appendf(nil, `{"kind":%q}`, ticks[c.rand.IntN(len(ticks))])
	m := client.Message{Data: data, Attributes: map[string]string{"ce-id": c.id("t")}}
	c.insist(ctx, func(ctx context.Context) chaos.Outcome {
		_, err := c.api.Publish(ctx, "cleanup-ticks", m)
		return c.outcome("tick", err, chaos.Accepted)
	})
}

// sandboxes asks for one sandbox after the other, some of them twice, looks at what they serve, and stops every second.
func (c *worker) sandboxes(ctx context.Context) {
	for n := 0; n < maxSandboxes && ctx.Err() == nil; n++ {
		id := "chaos-" + c.id("r")
		request := client.RunRequest{
			RequestID: id, ProjectName: "chaos", StaticDir: ".",
			Source: client.Source{Files: []client.File{{Path: "index.html", Content: id}}},
		}
		c.history.ToldRequest(id, chaos.Unknown)
		var accepted client.Accepted
		c.insist(ctx, func(ctx context.Context) chaos.Outcome {
			got, err := c.api.Sandboxes().Run(ctx, request)
			outcome := c.outcome("run", err, chaos.Accepted)
			if err == nil {
				accepted = got
			}
			c.history.ToldRequest(id, outcome)
			return outcome
		})
		pause(ctx, time.Duration(500+c.rand.IntN(2500))*time.Millisecond)
		if stop := c.chance(50); accepted.ID != "" && stop {
			c.insist(ctx, func(ctx context.Context) chaos.Outcome {
				_, err := c.api.Sandboxes().Stop(ctx, accepted.ID)
				if errors.Is(err, client.ErrNotFound) { // the request is still on its way
					return chaos.Unknown
				}
				return c.outcome("stop", err, chaos.Applied)
			})
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
