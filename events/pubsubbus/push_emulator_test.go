package pubsubbus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/eventstest"
	"vibesdk-gcp/events/pubsubbus"
	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/testenv"
)

// front is what Pub/Sub pushes to: like a service of Cloud Run it has one address and gives each request to one of its instances.
type front struct {
	server *httptest.Server

	mu        sync.Mutex
	instances []*instance
	keys      map[string]string // ordering keys by event id: the emulator (0.8.20) leaves them out of what it pushes
}

// instance is a driver behind a front until it is closed.
type instance struct {
	*pubsubbus.Driver
	http.Handler
	front *front
	subs  []string
}

func (i *instance) Publish(ctx context.Context, topic events.Topic, msgs []events.Message) error {
	i.front.mu.Lock()
	for _, m := range msgs {
		if m.Key != "" {
			i.front.keys[m.ID] = m.Key
		}
	}
	i.front.mu.Unlock()
	return i.Driver.Publish(ctx, topic, msgs)
}

func (i *instance) Close() error {
	i.front.mu.Lock()
	i.front.instances = slices.DeleteFunc(i.front.instances, func(other *instance) bool { return other == i })
	i.front.mu.Unlock()
	return i.Driver.Close()
}

func newFront(t testing.TB) *front {
	f := &front{keys: map[string]string{}}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var able []*instance
	f.mu.Lock()
	for _, i := range f.instances {
		if slices.Contains(i.subs, path.Base(r.URL.Path)) {
			able = append(able, i)
		}
	}
	f.mu.Unlock()
	if len(able) == 0 {
		http.Error(w, "no instance", http.StatusServiceUnavailable)
		return
	}
	able[rand.IntN(len(able))].ServeHTTP(w, f.withKey(r))
}

// withKey adds the ordering key, where the service has it.
func (f *front) withKey(r *http.Request) *http.Request {
	body, err := io.ReadAll(r.Body)
	var e struct {
		Message         map[string]any `json:"message"`
		Subscription    string         `json:"subscription"`
		DeliveryAttempt *int           `json:"deliveryAttempt,omitempty"`
	}
	if err = errors.Join(err, json.Unmarshal(body, &e)); err != nil {
		return r // it is refused
	}
	attributes, _ := e.Message["attributes"].(map[string]any)
	id, _ := attributes["ce-id"].(string)
	f.mu.Lock()
	key := f.keys[id]
	f.mu.Unlock()
	if key != "" && attributes["dead-letter-topic"] == nil {
		e.Message["orderingKey"] = key
		body, _ = json.Marshal(e) // it was JSON
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return r
}

func (f *front) open(t testing.TB, o pubsubbus.Options, subs ...events.Subscription) events.Driver {
	t.Helper()
	o.PushURL = f.server.URL
	for _, sub := range append(subs, events.Parked) {
		o.Push = append(o.Push, sub.Name)
	}
	d := openEmulator(t, o, subs...)
	i := &instance{d, d.PushHandler(), f, o.Push}
	f.mu.Lock()
	f.instances = append(f.instances, i)
	f.mu.Unlock()
	return i
}

const twoAtOnce = "the emulator (0.8.20) has two pushes of a subscription under way at most; TestPush… tests it with requests of our own"

// pushGaps are the cases that cannot be shown on the emulator.
var pushGaps = map[string]string{
	"DelayedKeyStallsNoOther": twoAtOnce,
	"DrainLosesNoAck":         twoAtOnce,
	"AttemptsSurviveRestart":  gaps["AttemptsSurviveRestart"],
}

// TestConformancePushed holds consumers that the emulator pushes to against the same promises as those that pull.
func TestConformancePushed(t *testing.T) {
	t.Parallel()
	testenv.PubSub(t)
	eventstest.Run(t, func(t testing.TB) eventstest.Opener {
		endpoint, project := testenv.PubSub(t)
		f := newFront(t)
		return func(t testing.TB, subs ...events.Subscription) events.Driver {
			t.Helper()
			return f.open(t, pubsubbus.Options{Endpoint: endpoint, Project: project}, subs...)
		}
	}, eventstest.Features{Gaps: pushGaps, Patience: time.Minute})
}

// TestSubscriptionsAreTurnedOver: a subscription of an emulator is pushed or pulled as its consumer is, and the check tells when not.
func TestSubscriptionsAreTurnedOver(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	open := func(o pubsubbus.Options) *pubsubbus.Driver {
		t.Helper()
		o.Endpoint, o.Project, o.Subscriptions = endpoint, project, []events.Subscription{events.Janitor, events.Parked}
		d, err := pubsubbus.New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() }) // nothing was published
		return d
	}
	want := func(d *pubsubbus.Driver, status checkup.Status, text string) {
		t.Helper()
		found := d.Check(t.Context())
		if !slices.ContainsFunc(found, func(f checkup.Finding) bool {
			return f.Subject == "subscription janitor" && f.Status == status && strings.Contains(f.Detail, text)
		}) {
			t.Errorf("no %s with %q in %+v", status, text, found)
		}
	}
	pulls := open(pubsubbus.Options{})
	pushed := open(pubsubbus.Options{Push: []string{"janitor"}, PushURL: "http://127.0.0.1:1/", PushDeadline: 30 * time.Second})
	elsewhere := open(pubsubbus.Options{Push: []string{"janitor"}, PushURL: "http://127.0.0.1:2", PushDeadline: 30 * time.Second})
	for _, d := range []*pubsubbus.Driver{pushed, elsewhere} {
		if err := d.EnsureResources(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(d, checkup.OK, "pushed")
		want(pulls, checkup.Fail, "its consumer pulls")
	}
	if err := pulls.EnsureResources(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(pushed, checkup.Fail, "its consumer waits for pushes")
	for _, f := range pulls.Check(t.Context()) {
		if f.Subject == "subscription janitor" && strings.Contains(f.Detail, "pushes to") {
			t.Errorf("%+v", f)
		}
	}
}
