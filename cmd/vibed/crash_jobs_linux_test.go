package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/crashpoint"
)

// isOfJobs reports whether a crash point is on the way of a session's mutations and jobs.
func isOfJobs(point string) bool {
	return strings.HasPrefix(point, "statewriter/") || strings.HasPrefix(point, "callbackrunner/")
}

// TestJobsKilledAtEveryStep kills vibed with SIGKILL at every crash point between a mutation that is published and the end of
// the job that it made. Restarted, it must come to the same end: each mutation applied once, each run called under one key, in the
// order of the queue, and nothing left.
func TestJobsKilledAtEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("builds vibed and restarts it many times")
	}
	t.Parallel()
	vibed := program(t, "crashpoint")
	points := slices.DeleteFunc(crashpoint.Names(), func(point string) bool { return !isOfJobs(point) })
	if len(points) < 8 {
		t.Fatalf("only %d crash points are linked in: %q", len(points), points)
	}
	for _, point := range points {
		for n := range 3 { // each item of the queue passes each of them
			n++
			t.Run(fmt.Sprintf("%s:%d", point, n), func(t *testing.T) {
				t.Parallel()
				jobsKilledAt(t, vibed, fmt.Sprintf("%s:%d", point, n))
			})
		}
	}
}

func jobsKilledAt(t *testing.T, vibed, point string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	host := newAgentHost(t)
	p := newPlatform(t, vibed, point)
	// Short, so that what a killed process had claimed is free again soon.
	p.env = []string{"AGENT_HOST_URL=" + host.URL, "CALLBACK_TIMEOUT=500ms"}
	p.start(ctx)
	sessions := p.api.Sessions()

	write := func(id string, do func(o client.WriteOptions) (client.MutationResult, error)) {
		p.try(ctx, func() error {
			result, err := do(client.WriteOptions{MutationID: id})
			if err == nil && result.Code != "applied" {
				err = fmt.Errorf("mutation %s is %s", id, result.Code)
			}
			return err
		})
	}
	for n := range 3 {
		id := fmt.Sprint("item", n)
		write(id, func(o client.WriteOptions) (client.MutationResult, error) {
			return sessions.Enqueue(ctx, "s", client.EnqueueRequest{ID: id, Callback: "work"}, o)
		})
		write("put"+id, func(o client.WriteOptions) (client.MutationResult, error) {
			return sessions.Put(ctx, "s", "state", []byte(`"`+id+`"`), o)
		})
	}
	p.try(ctx, func() error {
		left, err := sessions.Queue(ctx, "s", client.JobFilter{})
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d items are left, the first is %+v", len(left), left[0])
		}
		return err
	})
	// It may still be on its way to its last crash point.
	p.try(ctx, func() error {
		if !p.killed {
			return fmt.Errorf("nothing passed the crash point %s", point)
		}
		return nil
	})

	if want, got := []string{"item0", "item1", "item2"}, host.order(t); !cmp.Equal(want, got) {
		t.Errorf("called in the order %q", got)
	}
	applied := map[string]int{}
	p.try(ctx, func() error {
		clear(applied)
		history, err := sessions.History(ctx, "s", 100)
		for _, e := range history {
			applied[e.Kind+" "+e.Code]++
		}
		return err
	})
	if applied["enqueue applied"] != 3 || applied["put applied"] != 3 {
		t.Errorf("the history has %v", applied)
	}
	p.end()
}

// agentHost remembers the calls of jobs.
type agentHost struct {
	*httptest.Server
	mu   sync.Mutex
	jobs []string
	keys map[string]string
	odd  []string
}

func newAgentHost(t *testing.T) *agentHost {
	t.Helper()
	h := &agentHost{keys: map[string]string{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var call struct {
			Job struct{ ID string }
			Run int64
		}
		err := json.NewDecoder(r.Body).Decode(&call)
		h.mu.Lock()
		defer h.mu.Unlock()
		key, known := h.keys[call.Job.ID]
		switch now := r.Header.Get("Idempotency-Key"); {
		case err != nil || call.Run != 1:
			h.odd = append(h.odd, fmt.Sprintf("%+v (%v)", call, err))
		case !known:
			h.keys[call.Job.ID] = now
			h.jobs = append(h.jobs, call.Job.ID)
		case key != now:
			h.odd = append(h.odd, call.Job.ID+" under another key")
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// order lists the jobs in the order of their first calls.
func (h *agentHost) order(t *testing.T) []string {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.odd) > 0 {
		t.Errorf("odd calls: %q", h.odd)
	}
	return h.jobs
}
