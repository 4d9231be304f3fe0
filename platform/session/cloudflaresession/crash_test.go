package cloudflaresession_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/cloudflaresession"
	"vibesdk-gcp/platform/session/sessiontest"
)

func TestMain(m *testing.M) {
	sessiontest.CrashMain(func(_ context.Context, address string) (session.Driver, error) {
		url, key, _ := strings.Cut(address, " ")
		client, err := cfclient.New(cfclient.Options{URL: url, Key: key})
		if err != nil {
			return nil, err
		}
		return cloudflaresession.New(client), nil
	})
	os.Exit(m.Run())
}

func TestCrash(t *testing.T) {
	t.Parallel()
	bridge := testenv.Workerd(t)
	sessiontest.Crash(t, bridge.URL+" "+bridge.Key, open(t, bridge))
}
