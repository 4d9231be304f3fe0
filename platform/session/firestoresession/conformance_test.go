package firestoresession_test

import (
	"cmp"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
	"vibesdk-gcp/platform/session/sessiontest"
)

func TestEmulator(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t testing.TB) func() session.Driver {
		endpoint, project := testenv.Firestore(t)
		return func() session.Driver {
			return open(t, firestoresession.Options{Endpoint: endpoint, Project: project})
		}
	}, sessiontest.Features{})
}

func TestKilledWriters(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.Firestore(t)
	sessiontest.Crash(t, endpoint+"/"+project, open(t, firestoresession.Options{Endpoint: endpoint, Project: project}))
}

// patient makes sure that an emulator on a busy machine is not taken for an outage: with the default a watch that waits for its first
// answer gives up and begins again, for ever when many do, and a commit of megabytes fails.
const patient = 5 * time.Minute

func open(t testing.TB, o firestoresession.Options) *firestoresession.Driver {
	t.Helper()
	o.Timeout = cmp.Or(o.Timeout, patient)
	d, err := firestoresession.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
