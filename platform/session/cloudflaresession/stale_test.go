package cloudflaresession_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/cloudflaresession"
)

// TestCommitOnARemovedRecord: a record that was removed and begun again has the commits of the one before, and is another one.
func TestCommitOnARemovedRecord(t *testing.T) {
	t.Parallel()
	d := open(t, testenv.Workerd(t))
	old, err := d.Commit(t.Context(), record("s", 1, `"old"`))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), "s", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(t.Context(), record("s", 1, `"new"`)); err != nil {
		t.Fatal(err)
	}
	late := record("s", 2, `"late"`)
	late.Tag = old.Tag
	if _, err := d.Commit(t.Context(), late); !errors.Is(err, session.ErrConflict) {
		t.Errorf("a commit on what was removed: %v", err)
	}
	if r, err := d.Load(t.Context(), "s", old); err != nil || string(r.Parts[session.PartState].Data) != `"new"` {
		t.Errorf("stored is %+v, %v", r, err)
	}
}

// refusing is a network on which loads fail as long as there are failures left.
type refusing struct {
	http.Transport
	failures atomic.Int64
}

func (r *refusing) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/record") && r.failures.Add(-1) >= 0 {
		return nil, errors.New("the network is down")
	}
	return r.Transport.RoundTrip(request)
}

// TestWatchOutlastsLoadsThatFail: a watcher has no use for an error that passes.
func TestWatchOutlastsLoadsThatFail(t *testing.T) {
	t.Parallel()
	bridge := testenv.Workerd(t)
	network := &refusing{}
	client, err := cfclient.New(cfclient.Options{URL: bridge.URL, Key: bridge.Key, Transport: network, Tries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	writer := open(t, bridge)
	first, err := writer.Commit(t.Context(), record("s", 1, "1"))
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	err = cloudflaresession.New(client).Watch(t.Context(), "s", nil, func(r *session.Record) error {
		if r.Commit == 2 {
			return enough
		}
		network.failures.Store(3)
		next := record("s", 2, "2")
		next.Tag = first.Tag
		_, err := writer.Commit(t.Context(), next)
		return err
	})
	if !errors.Is(err, enough) || network.failures.Load() >= 0 {
		t.Errorf("the watch ended with %v, %d failures were left", err, network.failures.Load())
	}
}

func TestWatchEndsWhenItIsRefused(t *testing.T) {
	t.Parallel()
	bridge := testenv.Workerd(t)
	client, err := cfclient.New(cfclient.Options{URL: bridge.URL, Key: strings.Repeat("x", 32)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	err = cloudflaresession.New(client).Watch(t.Context(), "s", nil, func(*session.Record) error { return nil })
	if cfclient.Code(err) != "unauthorized" {
		t.Errorf("watch with a wrong key: %v", err)
	}
}
