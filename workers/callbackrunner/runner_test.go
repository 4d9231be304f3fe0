package callbackrunner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
	"vibesdk-gcp/workers/callbackrunner"
)

func TestAJobRunsWhenItIsDueAndNotBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Schedule, `{"id":"j","callback":"remind","payload":{"n":1.50},"delaySeconds":10}`)
	m := w.due(t)
	if !m.NotBefore.Equal(t0.Add(10 * time.Second)) {
		t.Errorf("to be delivered at %s", m.NotBefore)
	}
	w.advance(9 * time.Second)
	wantAnswer(t, w.handle(t, m), "again in 1s: ")
	w.advance(1250 * time.Millisecond)
	wantAnswer(t, w.handle(t, m), "")
	calls := w.host.calls()
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	want := `{"sessionId":"s","callback":"remind","payload":{"n":1.50},"job":{"id":"j","type":"delayed","callback":"remind","payload":{"n":1.50},` +
		`"time":1772366410,"due":"2026-03-01T12:00:10Z","delayInSeconds":10},"run":1,"attempt":1,"late":0.25,"missed":0}`
	if diff := cmp.Diff(want, calls[0].Body); diff != "" {
		t.Error(diff)
	}
	if h := calls[0].Header; calls[0].Path != "/callbacks/s/remind" || h.Get("Authorization") != "Bearer secret-key" || h.Get("Content-Type") != "application/json" || calls[0].Key == "" {
		t.Errorf("called %s with %v", calls[0].Path, h)
	}
	if jobs := w.jobs(t); len(jobs) > 0 {
		t.Errorf("left: %+v", jobs)
	}
	wantAnswer(t, w.handle(t, m), "")
	if len(w.host.calls()) != 1 || len(w.wake(t)) != 0 {
		t.Error("the run was called or published again")
	}
}

func TestCallsOfEachType(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind    session.Kind
		payload string
		after   time.Duration
		job     string
	}{
		"date": {session.Schedule, `{"id":"j","callback":"c","at":"2026-03-01T12:00:30.5Z","retry":{"maxAttempts":5}}`, 31 * time.Second,
			`{"id":"j","type":"scheduled","callback":"c","time":1772366430,"due":"2026-03-01T12:00:30.5Z","retry":{"maxAttempts":5}}`},
		"delay of nothing": {session.Schedule, `{"id":"j","callback":"c","delaySeconds":0}`, 0,
			`{"id":"j","type":"delayed","callback":"c","time":1772366400,"due":"2026-03-01T12:00:00Z","delayInSeconds":0}`},
		"cron": {session.Schedule, `{"id":"j","callback":"c","cron":"*/1 * * * *","payload":null}`, time.Minute,
			`{"id":"j","type":"cron","callback":"c","payload":null,"time":1772366460,"due":"2026-03-01T12:01:00Z","cron":"*/1 * * * *"}`},
		"interval": {session.Schedule, `{"id":"j","callback":"c","intervalSeconds":1.5}`, 2 * time.Second,
			`{"id":"j","type":"interval","callback":"c","time":1772366401,"due":"2026-03-01T12:00:01.5Z","intervalSeconds":1.5}`},
		"queue": {session.Enqueue, `{"id":"j","callback":"c","payload":[1]}`, time.Second,
			`{"id":"j","type":"queue","callback":"c","payload":[1],"createdAt":1772366400,"due":"2026-03-01T12:00:00Z"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.apply(t, tt.kind, tt.payload)
			w.advance(tt.after)
			wantAnswer(t, w.handle(t, w.due(t)), "")
			calls := w.host.calls()
			if len(calls) != 1 {
				t.Fatalf("%d calls", len(calls))
			}
			var body struct{ Job json.RawMessage }
			if err := json.Unmarshal([]byte(calls[0].Body), &body); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.job, string(body.Job)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRecurringJobs run again and again, late once for all that they missed.
func TestRecurringJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Schedule, `{"id":"j","callback":"c","cron":"* * * * *"}`)
	w.advance(time.Minute)
	wantAnswer(t, w.handle(t, w.due(t)), "")
	next := w.outbox.take()
	if len(next) != 1 || !next[0].NotBefore.Equal(t0.Add(2*time.Minute)) {
		t.Fatalf("published after the run: %+v", next)
	}
	w.advance(time.Minute + 3*time.Minute + 10*time.Second) // down for three occurrences
	late := w.due(t)
	wantAnswer(t, w.handle(t, late), "")
	wantAnswer(t, w.handle(t, next[0]), "")
	calls := w.host.calls()
	if len(calls) != 2 || calls[1].Late != 190 || calls[1].Run != 2 || calls[0].Key == calls[1].Key {
		t.Fatalf("calls: %+v", calls)
	}
	if j := w.jobs(t)[0]; j.Missed != 3 || !j.Due.Equal(t0.Add(6*time.Minute)) || j.Run != 3 {
		t.Errorf("after being down: %+v", j)
	}
}

func TestAnIntervalBeginsWhenTheRunEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Schedule, `{"id":"j","callback":"c","intervalSeconds":10}`)
	w.advance(10 * time.Second)
	m := w.due(t)
	w.host.does(func(http.ResponseWriter, *http.Request, callbackrunner.Call) {
		w.advance(7 * time.Second)
		if msgs := w.wake(t); len(msgs) != 1 || !msgs[0].NotBefore.Equal(t0.Add(85*time.Second)) {
			t.Errorf("published while it runs: %+v, want it at the end of the claim", msgs)
		}
		wantAnswer(t, w.handle(t, m), "again in 1m8s")
	})
	wantAnswer(t, w.handle(t, m), "")
	if j := w.jobs(t)[0]; !j.Due.Equal(t0.Add(27*time.Second)) || len(w.host.calls()) != 1 {
		t.Errorf("next at %s after %d calls", j.Due, len(w.host.calls()))
	}
}

// TestTheQueueIsInOrder runs one item after the other; the one that fails for good is kept, and holds up nobody.
func TestTheQueueIsInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"a", "poison", "b", "c"} {
		w.apply(t, session.Enqueue, fmt.Sprintf(`{"id":%q,"callback":"c"}`, id))
		w.advance(time.Second)
	}
	w.host.does(func(rw http.ResponseWriter, _ *http.Request, call callbackrunner.Call) {
		if call.Job.ID == "poison" {
			http.Error(rw, "does not like it", http.StatusUnprocessableEntity)
		}
	})
	behind := message(t, "b", 1)
	wantAnswer(t, w.handle(t, behind), "")
	for m := w.due(t); ; {
		wantAnswer(t, w.handle(t, m), "")
		next := w.outbox.take()
		if len(next) == 0 {
			break
		}
		m = next[0]
	}
	var order []string
	for _, call := range w.host.calls() {
		order = append(order, call.Job.ID)
	}
	if want := []string{"a", "poison", "b", "c"}; !cmp.Equal(want, order) {
		t.Errorf("called in the order %q", order)
	}
	jobs := w.jobs(t)
	if len(jobs) != 1 || jobs[0].ID != "poison" || !jobs[0].Parked || jobs[0].LastError != "agent host answered 422: does not like it" {
		t.Errorf("left: %+v", jobs)
	}
	if log := w.log.String(); strings.Count(log, "job failed for good") != 1 || !strings.Contains(log, "outcome=parked") {
		t.Errorf("log: %s", log)
	}
}

func message(t *testing.T, job string, run int64) events.Message {
	t.Helper()
	data, err := schemas.EncodeAgentCallback(&gen.AgentCallback{SessionId: "s", JobId: job, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	return events.Message{Data: data}
}

// TestAFailedAttemptIsTriedAgain as the job says, each time as another run.
func TestAFailedAttemptIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		codes []int
		left  string
	}{
		{[]int{500, 409, 204}, "[]"},
		{[]int{302, 504, 599}, "[]"},
		{[]int{408, 400}, "[]"},
	} {
		w := newWorld(t)
		w.apply(t, session.Schedule, `{"id":"j","callback":"c","delaySeconds":0}`)
		w.host.answers(tt.codes...)
		keys := map[string]bool{}
		for i := range tt.codes {
			m := w.due(t)
			w.advance(3 * time.Second) // the longest backoff
			wantAnswer(t, w.handle(t, m), "")
			calls := w.host.calls()
			if len(calls) != i+1 || calls[i].Attempt != i+1 || calls[i].Run != int64(i+1) {
				t.Fatalf("%v: after %d attempts: %+v", tt.codes, i+1, calls)
			}
			keys[calls[i].Key] = true
			if jobs := w.jobs(t); len(jobs) == 1 && jobs[0].LastError != fmt.Sprintf("agent host answered %d: because of %d", tt.codes[i], tt.codes[i]) {
				t.Errorf("error kept: %q", jobs[0].LastError)
			}
		}
		if jobs := w.jobs(t); len(jobs) > 0 || len(keys) != len(tt.codes) || len(w.wake(t)) > 0 {
			t.Errorf("%v: left %+v, %d keys", tt.codes, jobs, len(keys))
		}
	}
}

// TestAHostThatIsAwayLosesNoJob: the same run waits for it, with the same key, and no attempt is counted.
func TestAHostThatIsAwayLosesNoJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.host.Listener.Addr().String()
	w.apply(t, session.Schedule, `{"id":"j","callback":"c","delaySeconds":0}`)
	m := w.due(t)
	w.host.answers(503, 429, 425)
	for range 3 {
		wantAnswer(t, w.handle(t, m), "again in 1s: agent host answered ")
		wantAnswer(t, w.handle(t, m), "again in 1s: the run may not begin yet")
		w.advance(time.Second)
	}
	w.host.Close()
	w.advance(7 * time.Second)
	wantAnswer(t, w.handle(t, m), "again in 5s: agent host was not reached: ")
	w.advance(time.Hour)
	m = w.due(t)
	wantAnswer(t, w.handle(t, m), "") // by the time it may be called again, a sweep has published it again
	if j := w.jobs(t)[0]; j.Attempt != 0 || j.Run != 1 || !j.ReadyAt().Equal(w.now().Add(5*time.Minute)) {
		t.Errorf("after an hour: %+v", j)
	}
	calls := w.host.calls()
	if len(calls) != 3 || calls[0].Key != calls[2].Key || calls[0].Attempt != 1 || calls[2].Attempt != 1 {
		t.Fatalf("calls: %+v", calls)
	}
	if strings.Contains(w.jobs(t)[0].LastError+w.log.String(), "http://"+address) {
		t.Error("the address is repeated in every error")
	}
	w.advance(24 * time.Hour)
	wantAnswer(t, w.handle(t, w.due(t)), "") // its patience is over
	if jobs := w.jobs(t); len(jobs) > 0 || !strings.Contains(w.log.String(), "job failed for good") {
		t.Errorf("left after a day: %+v", jobs)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"30": 30 * time.Second, "0": time.Second, "-5": time.Second, "soon": time.Second, "86400": 5 * time.Minute,
		t0.Add(time.Minute).Format(http.TimeFormat): time.Minute,
		t0.Add(-time.Hour).Format(http.TimeFormat):  time.Second,
		t0.Add(time.Hour).Format(http.TimeFormat):   5 * time.Minute,
	} {
		w := newWorld(t)
		w.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
		w.host.does(func(rw http.ResponseWriter, _ *http.Request, _ callbackrunner.Call) {
			rw.Header().Set("Retry-After", value)
			rw.WriteHeader(http.StatusTooManyRequests)
		})
		w.handle(t, w.due(t))
		if j := w.jobs(t)[0]; !j.ReadyAt().Equal(t0.Add(want)) || j.Attempt != 0 {
			t.Errorf("Retry-After: %s: ready at %s, want %s", value, j.ReadyAt(), t0.Add(want))
		}
	}
}

// TestDuplicatesAtOnceCallOnce hands many messages of the same run to the runner at the same time.
func TestDuplicatesAtOnceCallOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
	m := w.due(t)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			<-start
			if answer := w.handle(t, m); answer != "" && !strings.HasPrefix(answer, "again in 1m15s: ") {
				t.Errorf("handled with %q", answer)
			}
		})
	}
	close(start)
	wg.Wait()
	if calls := w.host.calls(); len(calls) != 1 || len(w.jobs(t)) != 0 {
		t.Errorf("%d calls, %d jobs left", len(calls), len(w.jobs(t)))
	}
}

// TestAnotherWasFaster claims the run between this delivery's look at it and its claim: when it asks for the time the second time.
func TestAnotherWasFaster(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]string{0: "again in 1m15s: another delivery has the run", 3 * time.Minute: ""} {
		asked := 0
		var w *world
		w = newWorld(t, func(o *callbackrunner.Options) {
			o.Now = func() time.Time {
				if asked++; asked == 2 {
					w.apply(t, session.StartJob, `{"id":"j","run":1,"holder":"another","until":"2026-03-01T12:00:30Z"}`)
				}
				return w.now()
			}
		})
		w.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
		m := w.due(t)
		m.Time = t0.Add(-age)
		wantAnswer(t, w.handle(t, m), want)
		m.Time = t0
		wantAnswer(t, w.handle(t, m), "again in 30s: the run may not begin yet")
		if calls := w.host.calls(); len(calls) > 0 || asked < 2 {
			t.Errorf("called: %+v", calls)
		}
	}
}

// TestWhatIsNotDueAnyMore: a message that was overtaken calls nobody.
func TestWhatIsNotDueAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Schedule, `{"id":"j","callback":"c","delaySeconds":1}`)
	m := w.due(t)
	w.advance(2 * time.Second)
	w.apply(t, session.Schedule, `{"id":"j","callback":"c","delaySeconds":1000}`)
	wantAnswer(t, w.handle(t, m), "")
	w.apply(t, session.Cancel, `{"id":"j"}`)
	for _, m := range []events.Message{m, message(t, "j", 2), message(t, "none", 1)} {
		wantAnswer(t, w.handle(t, m), "")
	}
	w.apply(t, session.Destroy, "")
	wantAnswer(t, w.handle(t, m), "")
	elsewhere := events.Message{Data: []byte(`{"sessionId":"nobody","jobId":"j","run":"1"}`)}
	wantAnswer(t, w.handle(t, elsewhere), "")
	if err := w.publisher.Wake(t.Context(), "nobody"); err != nil {
		t.Error(err)
	}
	for _, data := range []string{"", "{}", `{"sessionId":"s","jobId":"j","run":0}`} {
		wantAnswer(t, w.handle(t, events.Message{Data: []byte(data)}), "permanent: ")
	}
	if calls := w.host.calls(); len(calls) > 0 {
		t.Errorf("called: %+v", calls)
	}
}

// TestADeliveryThatEndedBeforeItPublished what is due next: the one after it does.
func TestADeliveryThatEndedBeforeItPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Enqueue, `{"id":"a","callback":"c"}`)
	w.apply(t, session.Enqueue, `{"id":"b","callback":"c"}`)
	m := w.due(t)
	wantAnswer(t, w.handle(t, m), "")
	w.outbox.take()
	m.Attempt = 1
	wantAnswer(t, w.handle(t, m), "")
	if again := w.outbox.take(); len(again) > 0 {
		t.Errorf("a duplicate publishes %d runs: they would never end", len(again))
	}
	m.Attempt = 2
	wantAnswer(t, w.handle(t, m), "")
	if again := w.outbox.take(); len(again) != 1 {
		t.Errorf("%d runs are published", len(again))
	}
}

// TestACancelWhileItRuns does not bring the job back.
func TestACancelWhileItRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Schedule, `{"id":"j","callback":"c","intervalSeconds":1}`)
	w.advance(time.Second)
	w.host.does(func(http.ResponseWriter, *http.Request, callbackrunner.Call) {
		w.apply(t, session.Cancel, `{"id":"j"}`)
	})
	wantAnswer(t, w.handle(t, w.due(t)), "")
	if jobs := w.jobs(t); len(jobs) > 0 || len(w.outbox.take()) > 0 {
		t.Errorf("left: %+v", jobs)
	}
}

// TestAnAttemptThatIsCutShort leaves its claim behind: the same run is called again when that ends.
func TestAnAttemptThatIsCutShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
	m := w.due(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	w.host.does(func(_ http.ResponseWriter, r *http.Request, _ callbackrunner.Call) {
		cancel(events.ErrDraining)
		<-r.Context().Done()
	})
	if err := w.Handle(ctx, m); err == nil || !strings.Contains(err.Error(), events.ErrDraining.Error()) {
		t.Fatalf("cut short with %v", err)
	}
	m.Time = w.now()
	wantAnswer(t, w.handle(t, m), "again in 1m15s: ")
	w.host.answers()
	w.advance(75 * time.Second)
	wantAnswer(t, w.handle(t, m), "")
	calls := w.host.calls()
	if len(calls) != 2 || calls[0].Key != calls[1].Key || calls[1].Attempt != 1 || calls[1].Late != 75 {
		t.Errorf("calls: %+v", calls)
	}
	if jobs := w.jobs(t); len(jobs) > 0 {
		t.Errorf("left: %+v", jobs)
	}
}

// TestWithoutAHost jobs stay due, messages do not pile up, and the log says so once a minute.
func TestWithoutAHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *callbackrunner.Options) { o.Host = "" })
	w.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
	m := w.due(t)
	m.Time = w.now()
	wantAnswer(t, w.handle(t, m), "again in 1m0s: there is no agent host")
	w.advance(59 * time.Second)
	wantAnswer(t, w.handle(t, m), "again in 1m0s: ")
	w.advance(2 * time.Second)
	wantAnswer(t, w.handle(t, m), "")
	w.advance(time.Hour)
	if m := w.due(t); w.handle(t, m) == "" {
		t.Error("a fresh message is given up")
	}
	if n := strings.Count(w.log.String(), "there is no agent host"); n != 3 {
		t.Errorf("the log says so %d times: %s", n, w.log)
	}
	if j := w.jobs(t)[0]; j.Attempt != 0 || j.Run != 1 || j.Holder != "" {
		t.Errorf("the job is not as it was: %+v", j)
	}
}

// TestKeysOfRuns: ids are any text, and no two runs have the same key.
func TestKeysOfRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := map[string]string{}
	for _, ids := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"a/b", "c"}, {"a/", "b/c"}, {"a/b/", "c"}} {
		outcomes, err := w.Store.Apply(t.Context(), ids[0], []session.Mutation{
			{ID: "m", Kind: session.Enqueue, Payload: fmt.Appendf(nil, `{"id":%q,"callback":"c"}`, ids[1])},
		})
		if err != nil || outcomes[0].Err != nil {
			t.Fatal(err, outcomes)
		}
		if err := w.publisher.Wake(t.Context(), ids[0]); err != nil {
			t.Fatal(err)
		}
		for _, m := range w.outbox.take() {
			if other, known := keys[m.ID]; known {
				t.Errorf("%q and %s are one run", ids, other)
			}
			keys[m.ID] = fmt.Sprint(ids)
		}
	}
	if len(keys) != 5 {
		t.Errorf("%d keys", len(keys))
	}
}

// TestManyDueJobs are published in pieces, and only those before the lookahead ends.
func TestManyDueJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 450 {
		w.apply(t, session.Schedule, fmt.Sprintf(`{"id":"j%d","callback":"c","delaySeconds":%d}`, i, i%90+1))
	}
	w.apply(t, session.Schedule, `{"id":"far","callback":"c","delaySeconds":91}`)
	msgs := w.wake(t)
	ids := map[string]bool{}
	for _, m := range msgs {
		ids[m.ID] = true
	}
	if len(msgs) != 450 || len(ids) != 450 {
		t.Errorf("%d messages with %d ids", len(msgs), len(ids))
	}
	sorted := slices.IsSortedFunc(msgs, func(a, b events.Message) int { return a.NotBefore.Compare(b.NotBefore) })
	if !sorted {
		t.Error("not in the order of their time")
	}
	for i, m := range w.wake(t) {
		if m.ID != msgs[i].ID {
			t.Fatal("the same run has another id the second time")
		}
	}
}
