package firestoresession_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
	"vibesdk-gcp/platform/session/sessiontest"
)

func TestMain(m *testing.M) {
	sessiontest.CrashMain(func(ctx context.Context, address string) (session.Driver, error) {
		endpoint, project, ok := strings.Cut(address, "/")
		if !ok {
			return nil, fmt.Errorf("address %q, want endpoint/project", address)
		}
		return firestoresession.New(ctx, firestoresession.Options{Endpoint: endpoint, Project: project})
	})
	os.Exit(m.Run())
}
