package pubsubbus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"vibesdk-gcp/events"
)

// wrappedBody is the body of a push to the subscription sub.
func wrappedBody(id, key string, attempt int) string {
	e := map[string]any{
		"message":      map[string]any{"messageId": id, "data": []byte("{}"), "orderingKey": key, "publishTime": "2026-01-02T03:04:05.006Z"},
		"subscription": "projects/project/subscriptions/sub",
	}
	if attempt > 0 {
		e["deliveryAttempt"] = attempt
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(body)
}

func pushed(o Options) Options {
	o.Project, o.Push = "project", []string{"sub"}
	return o
}

// post pushes and gives the status and text of the answer.
func post(ctx context.Context, h http.Handler, path, body string, header ...string) (status int, text string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// pushes are requests under way.
type pushes struct {
	h       http.Handler
	answers sync.Map // status by id
	running sync.WaitGroup
}

func (p *pushes) send(ctx context.Context, id, key string) {
	p.running.Go(func() {
		status, _ := post(ctx, p.h, "/push/sub", wrappedBody(id, key, 0))
		p.answers.Store(id, status)
	})
}

func (p *pushes) want(t *testing.T, id string, status int) {
	t.Helper()
	if got, _ := p.answers.Load(id); got != status {
		t.Errorf("%s is answered %v, want %d", id, got, status)
	}
}

func TestPushRefusals(t *testing.T) {
	t.Parallel()
	d := &Driver{o: pushed(Options{Logger: slog.New(slog.DiscardHandler)}).withDefaults()}
	h := d.PushHandler()
	good := wrappedBody("1", "", 0)
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
		text       string
	}{
		"no consumer runs":   {"/push/sub", good, nil, 503, "the consumer of sub does not run now"},
		"a pulled consumer":  {"/push/janitor", good, nil, 404, `no subscription "janitor" is pushed here`},
		"metadata":           {"/push/sub", "{}", []string{"X-Goog-Pubsub-Message-Id", "1"}, 400, "unwrapped"},
		"unwrapped":          {"/push/sub", "hello", nil, 400, "unwrapped"},
		"unwrapped JSON":     {"/push/sub", `{"kind":"DUE_JOBS"}`, nil, 400, "message is missing; if the push is unwrapped"},
		"no id":              {"/push/sub", strings.Replace(good, `"1"`, `""`, 1), nil, 400, "message.messageId is missing"},
		"other subscription": {"/push/sub", strings.Replace(good, "subscriptions/sub", "subscriptions/another", 1), nil, 400, `want "projects/project/subscriptions/sub"`},
		"negative attempt":   {"/push/sub", strings.Replace(good, `"message":`, `"deliveryAttempt":-1,"message":`, 1), nil, 400, "deliveryAttempt is -1"},
		"no base64":          {"/push/sub", strings.Replace(good, `"e30="`, `"%"`, 1), nil, 400, "not the JSON of a wrapped push"},
		"too large":          {"/push/sub", strings.Repeat(" ", maxPush+1), nil, 413, "the limit is 16777216"},
	} {
		status, text := post(t.Context(), h, c.path, c.body, c.header...)
		if status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %q, want %d with %q", name, status, text, c.status, c.text)
		}
	}
	// A body that does not say how long it is, is cut off all the same.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/push/sub", strings.NewReader(strings.Repeat(" ", maxPush+1)))
	r.ContentLength = -1
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of unknown length: %d", w.Code)
	}
	get := httptest.NewRecorder()
	h.ServeHTTP(get, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/push/sub", http.NoBody))
	if get.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", get.Code)
	}
}

// FuzzDecodePush: whatever is sent, there is a message or a refusal.
func FuzzDecodePush(f *testing.F) {
	for _, body := range []string{wrappedBody("1", "k", 3), `{}`, `{"message":null}`, `[]`, `{"message":{"publishTime":1}}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := decodePush(body, "projects/project/subscriptions/sub")
		if (m == nil) == (err == nil) || m != nil && m.ID == "" {
			t.Fatalf("%+v, %v", m, err)
		}
		if m != nil {
			if it, mine := (&Driver{o: pushed(Options{}).withDefaults()}).newItem(m, "sub"); mine && it.handout().Attempt < 1 {
				t.Fatalf("attempt %d", it.handout().Attempt)
			}
		}
	})
}

// TestPushIsAnsweredByItsVerdict: what is done is 204, and deliveries count as they do for who pulls.
func TestPushIsAnsweredByItsVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &Driver{o: pushed(Options{}).withDefaults()}
		h := d.PushHandler()
		var got []events.Message
		c := consume(d, subscription(false), func(run []events.Message) []events.Verdict {
			got = append(got, run...)
			return []events.Verdict{{Done: len(got) > 2, Failed: true, After: time.Second}}
		})
		synctest.Wait()
		start := time.Now()
		if status, text := post(t.Context(), h, "/push/sub", wrappedBody("1", "", 5)); status != 204 || text != "" {
			t.Errorf("%d %q", status, text)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it took %s, want the two waits of a second", took)
		}
		for i, m := range got {
			if m.ID != "1" || m.Attempt != i+2 { // five deliveries are one failed attempt
				t.Errorf("delivery %d: %+v", i, m)
			}
		}
		c.stop()
		if err := c.wait(t); err != nil || len(got) != 3 {
			t.Errorf("%d deliveries, %v", len(got), err)
		}
	})
}

// TestPushedKeysWaitAlone: keys that wait hold back no other; what is held is bounded; a drain answers what waits.
func TestPushedKeysWaitAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &Driver{o: pushed(Options{}).withDefaults()}
		p := &pushes{h: d.PushHandler()}
		sub := subscription(true)
		sub.Concurrency, sub.MaxOutstanding = 2, 9
		release := make(chan struct{})
		c := consume(d, sub, func(run []events.Message) []events.Verdict {
			switch run[0].Key {
			case "other":
				return done(run)
			case "slow":
				<-release
				return done(run)
			default:
				return []events.Verdict{{After: 5 * time.Minute}}
			}
		})
		synctest.Wait()
		for n := range 7 {
			p.send(t.Context(), fmt.Sprint("late", n), fmt.Sprint("late", n))
		}
		synctest.Wait()
		for n := range 10 {
			id := fmt.Sprint("other", n)
			p.send(t.Context(), id, "other")
			synctest.Wait()
			p.want(t, id, 204)
		}
		p.send(t.Context(), "slow", "slow")
		p.send(t.Context(), "late6 again", "late6")
		synctest.Wait()
		p.send(t.Context(), "one too many", "other")
		synctest.Wait()
		p.want(t, "one too many", 429)

		c.stop()
		synctest.Wait()
		p.send(t.Context(), "after the end", "other")
		synctest.Wait()
		p.want(t, "after the end", 503)
		close(release)
		p.running.Wait()
		p.want(t, "slow", 204)
		for n := range 7 {
			p.want(t, fmt.Sprint("late", n), 503)
		}
		p.want(t, "late6 again", 503)
		if err := c.wait(t); err != nil {
			t.Error(err)
		}
	})
}

// TestPushEndsBeforeItsDeadline: a message of an ordered topic goes back with those behind it, and a running attempt may finish.
func TestPushEndsBeforeItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &Driver{o: pushed(Options{PushDeadline: time.Minute}).withDefaults()}
		p := &pushes{h: d.PushHandler()}
		sub := subscription(true)
		sub.AttemptTimeout = 10 * time.Second
		attempts := map[string]int{}
		c := consume(d, sub, func(run []events.Message) []events.Verdict {
			switch m := run[0]; m.ID {
			case "slow":
				time.Sleep(55 * time.Second)
				return []events.Verdict{{Done: true}}
			case "stuck":
				time.Sleep(70 * time.Second)
				return []events.Verdict{{Done: true}}
			default:
				attempts[m.ID]++
				return []events.Verdict{{Failed: true, After: 40 * time.Second}}
			}
		})
		synctest.Wait()
		start := time.Now()
		p.send(t.Context(), "first", "k")
		synctest.Wait()
		p.send(t.Context(), "second", "k")
		p.send(t.Context(), "slow", "slow")
		p.send(t.Context(), "stuck", "stuck")
		p.running.Wait()
		if took := time.Since(start); took != time.Minute-pushMargin {
			t.Errorf("the last answer took %s", took)
		}
		p.want(t, "first", 503)
		p.want(t, "second", 503)
		p.want(t, "slow", 204)
		p.want(t, "stuck", 503)
		if attempts["first"] != 2 || attempts["second"] != 0 {
			t.Errorf("attempts %v", attempts)
		}
		c.stop()
		if err := c.wait(t); err != nil {
			t.Error(err)
		}
	})
}

// TestPushThatEndedIsForgotten: a request that ended holds no place, and the message that comes again is handled.
func TestPushThatEndedIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &Driver{o: pushed(Options{}).withDefaults()}
		p := &pushes{h: d.PushHandler()}
		sub := subscription(true)
		sub.MaxOutstanding = 2
		var mu sync.Mutex
		tried := map[string]int{}
		c := consume(d, sub, func(run []events.Message) []events.Verdict {
			mu.Lock()
			tried[run[0].ID]++
			n := tried[run[0].ID]
			mu.Unlock()
			if n == 1 {
				return []events.Verdict{{After: time.Hour}}
			}
			time.Sleep(time.Minute)
			return done(run)
		})
		synctest.Wait()
		gone, leave := context.WithCancel(t.Context())
		p.send(gone, "m", "m")
		p.send(gone, "n", "n")
		synctest.Wait()
		leave()
		p.running.Wait()
		p.want(t, "m", 503)
		p.want(t, "n", 503)

		// While its next attempt runs the request ends, and Pub/Sub sends it again: both share one outcome.
		gone, leave = context.WithCancel(t.Context())
		p.send(gone, "m", "m")
		synctest.Wait()
		leave()
		p.running.Wait()
		p.want(t, "m", 503)
		p.send(t.Context(), "m", "m")
		p.running.Wait()
		p.want(t, "m", 204)
		if tried["m"] != 2 {
			t.Errorf("%d attempts, want 2", tried["m"])
		}
		synctest.Wait()
		r := d.running.list["sub"][0]
		r.mu.Lock()
		if len(r.items) != 0 || len(r.lanes) != 0 {
			t.Errorf("it holds %d messages in %d lanes", len(r.items), len(r.lanes))
		}
		r.mu.Unlock()
		c.stop()
		if err := c.wait(t); err != nil {
			t.Error(err)
		}
	})
}

// TestPushGoesOnAsACopy: what a message of an unordered topic waits for outlives its request.
func TestPushGoesOnAsACopy(t *testing.T) {
	t.Parallel()
	s := &script{}
	d := startScript(t, s, pushed(Options{HoldLimit: time.Hour}))
	d.o.PushDeadline = pushMargin + 200*time.Millisecond
	h := d.PushHandler()
	c := consume(d, subscription(false), func([]events.Message) []events.Verdict {
		return []events.Verdict{{Failed: true, After: time.Minute}}
	})
	status := 503
	for deadline := time.Now().Add(patience); status == 503 && time.Now().Before(deadline); { // until it consumes
		status, _ = post(t.Context(), h, "/push/sub", wrappedBody("m", "", 0))
	}
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	published, _, _ := s.got()
	if status != 204 || len(published) == 0 {
		t.Fatalf("answered %d, published %v", status, published)
	}
	copied := published[len(published)-1]
	it, mine := d.newItem(&pubsub.Message{ID: "2", Attributes: copied.GetAttributes(), Data: copied.GetData()}, "sub")
	if !mine || it.handout().ID != "m" || it.handout().Attempt != 2 || time.Until(it.due) <= 0 {
		t.Errorf("the copy %+v is %+v", copied, it)
	}
}
