package cloudflaresession_test

import (
	"testing"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/cloudflaresession"
	"vibesdk-gcp/platform/session/sessiontest"
)

func TestDurableObjects(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t testing.TB) func() session.Driver {
		bridge := testenv.Workerd(t)
		return func() session.Driver { return open(t, bridge) }
	}, sessiontest.Features{})
}

func open(t testing.TB, bridge *testenv.Bridge) *cloudflaresession.Driver {
	t.Helper()
	client, err := cfclient.New(cfclient.Options{URL: bridge.URL, Key: bridge.Key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return cloudflaresession.New(client)
}
