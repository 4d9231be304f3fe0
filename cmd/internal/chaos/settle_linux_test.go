package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vibesdk-gcp/cmd/internal/chaos"
	"vibesdk-gcp/gateway/client"
)

const (
	// settleFor is how long everything may take to come to rest: messages wait up to a minute between two attempts, and a sandbox that
	// does not move is looked at after a minute.
	settleFor = 6 * time.Minute
	lookEvery = 500 * time.Millisecond
)

// settle waits until nothing is found, stopping what still runs, and fails if something stays.
func (w *world) settle() (well bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), settleFor)
	defer cancel()
	api, err := client.New("http://"+w.gateways[0], client.Options{RetryFor: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	var found []chaos.Finding
	var last error
	asked := false
	for nextTick := time.Now(); ; pause(ctx, lookEvery) {
		if ctx.Err() != nil {
			w.fleet.dump()
			w.t.Errorf("after %s, with %v:\n%s", settleFor, last, chaos.List(found))
			return false
		}
		if time.Now().After(nextTick) { // the clock's own come each minute
			nextTick = time.Now().Add(3 * time.Second)
			last = within(ctx, func(ctx context.Context) error { return w.nudge(ctx, api) })
		}
		var final chaos.Final
		err := within(ctx, func(ctx context.Context) (err error) {
			final, err = w.final(ctx, api)
			return err
		})
		if err != nil {
			last = err
			continue
		}
		found = chaos.Check(w.history, final)
		if len(found) == 0 && asked {
			return true
		}
		if len(found) == 0 { // what is still on its way is so before what comes last
			last = within(ctx, func(ctx context.Context) error { return w.last(ctx, api, final) })
			asked = last == nil
			continue
		}
		if !chaos.Mends(found) {
			w.t.Errorf("time does not mend this:\n%s", chaos.List(found))
			return false
		}
	}
}

// within bounds one look, so that one that hangs is one that failed.
func within(ctx context.Context, look func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return look(ctx)
}

// last sends one more mutation to each session, which is done after all that came before.
func (w *world) last(ctx context.Context, api *client.Client, f chaos.Final) error {
	for session := range f.Sessions {
		id := "last-" + session
		w.history.Invoke(session, id)
		result, err := api.Sessions().Append(ctx, session, client.PartState, "/list", []byte(strconv.Quote(id)), client.WriteOptions{MutationID: id})
		if err != nil {
			return err
		}
		w.history.Told(id, chaos.Applied, result.Version)
	}
	return nil
}

// nudge stops all sandboxes and lets the clock strike.
func (w *world) nudge(ctx context.Context, api *client.Client) error {
	running, err := api.Sandboxes().List(ctx, client.Requested, client.Building, client.Starting, client.Ready)
	if err != nil {
		return err
	}
	for _, s := range running {
		if _, err := api.Sandboxes().Stop(ctx, s.ID); err != nil {
			return err
		}
	}
	for _, kind := range []string{"STALE_SANDBOXES", "ORPHANED_SANDBOXES", "DUE_JOBS"} {
		if _, err := api.Publish(ctx, "cleanup-ticks", client.Message{Data: fmt.Appendf(nil, `{"kind":%q}`, kind)}); err != nil {
			return err
		}
	}
	return nil
}

// final reads what is there.
func (w *world) final(ctx context.Context, api *client.Client) (chaos.Final, error) {
	f := chaos.Final{
		Sessions: map[string]chaos.Session{}, Jobs: map[string]chaos.Left{}, Waiting: map[string]int{},
		Limits: map[string]float64{closedLimit: limitOf, openLimit: limitOf}, RedisForgets: 2 * time.Second,
		Gateways: w.fleet.lives("gateway"), Panics: w.fleet.panics(),
	}
	w.mu.Lock()
	f.RedisKilled = slices.Clone(w.redisKilled)
	var lists, queues []string
	for name, s := range w.slots {
		for epoch := range s.epoch + 1 {
			if id := fmt.Sprintf("%s-%d", name, epoch); strings.HasPrefix(name, "s") {
				lists = append(lists, id)
			} else {
				queues = append(queues, id)
			}
		}
	}
	w.mu.Unlock()
	for _, read := range []func() error{
		func() error { return readLists(ctx, api, lists, f) },
		func() error { return readJobs(ctx, api, queues, f) },
		func() error { return readLetters(ctx, api, &f) },
		func() error { return w.readSandboxes(ctx, api, &f) },
		func() error { return w.look(ctx, &f) },
	} {
		if err := read(); err != nil {
			return f, err
		}
	}
	return f, nil
}

func readLists(ctx context.Context, api *client.Client, ids []string, f chaos.Final) error {
	for _, id := range ids {
		part, err := api.Sessions().Read(ctx, id, client.PartState)
		if errors.Is(err, client.ErrNotFound) { // its first mutation never arrived
			continue
		}
		if err != nil {
			return err
		}
		var state struct {
			List []string `json:"list"`
		}
		if err := json.Unmarshal(part.Data, &state); err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
		f.Sessions[id] = chaos.Session{Version: part.Version, List: state.List}
	}
	return nil
}

func readJobs(ctx context.Context, api *client.Client, ids []string, f chaos.Final) error {
	for _, id := range ids {
		queue, err := api.Sessions().Queue(ctx, id, client.JobFilter{})
		if err == nil {
			var schedules []client.Job
			schedules, err = api.Sessions().Schedules(ctx, id, client.JobFilter{})
			queue = append(queue, schedules...)
		}
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return err
		}
		for _, j := range queue {
			f.Jobs[j.ID] = chaos.Left{Parked: j.Parked, LastError: j.LastError}
		}
	}
	return nil
}

func readLetters(ctx context.Context, api *client.Client, f *chaos.Final) error {
	for l, err := range api.DeadLetters().List(ctx, client.DeadLetterQuery{}) {
		if err != nil {
			return err
		}
		whole, err := api.DeadLetters().Get(ctx, l.ID)
		if err != nil {
			return err
		}
		var about struct {
			MutationID string `json:"mutationId"`
			RequestID  string `json:"requestId"`
			JobID      string `json:"jobId"`
		}
		letter := chaos.Letter{MessageID: l.MessageID, Subscription: l.Subscription, Reason: l.Reason}
		if json.Unmarshal(whole.Data, &about) == nil { // a payload of another kind is about nothing here
			letter.Subject = about.MutationID + about.RequestID + about.JobID
		}
		f.Letters = append(f.Letters, letter)
	}
	return nil
}

func (w *world) readSandboxes(ctx context.Context, api *client.Client, f *chaos.Final) error {
	all, err := api.Sandboxes().List(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		f.Sandboxes = append(f.Sandboxes, chaos.Sandbox{
			ID: s.ID, RequestID: s.RequestID, Reason: s.Reason, Ended: s.State.Ended(), Failed: s.State == client.Failed,
		})
	}
	return nil
}

// processesOf lists what runs with a variable in its environment.
func processesOf(variable, value string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is well formed
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil { // it ended meanwhile
			continue
		}
		for part := range bytes.SplitSeq(env, []byte{0}) {
			if name, is, _ := strings.Cut(string(part), "="); name == variable && strings.HasPrefix(is, value) {
				found = append(found, fmt.Sprintf("process %s with %s", filepath.Base(filepath.Dir(file)), part))
			}
		}
	}
	return found
}

// routeLeft asks a router for a preview that has ended.
func routeLeft(ctx context.Context, router, host string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+router+"/", http.NoBody)
	if err != nil {
		return "", err
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		return fmt.Sprintf("route %s answers %s", host, res.Status), nil
	}
	return "", nil
}
