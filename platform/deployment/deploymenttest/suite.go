// Package deploymenttest checks what every [deployment.Driver] must do.
package deploymenttest

import (
	"testing"
	"time"

	"vibesdk-gcp/platform/deployment"
)

// Run drives a driver through the contract. open returns a driver on an empty store; it is called once for
// each test, and the tests run in parallel.
func Run(t *testing.T, open func(t testing.TB) deployment.Driver) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*subject)
	}{
		{"app/round trip", appRoundTrip},
		{"app/versions count puts", appVersions},
		{"app/concurrent puts lose no version", appConcurrent},
		{"app/delete", appDelete},
		{"app/names are exact", appExact},
		{"app/pages in byte order", appPages},
		{"app/a write from another version changes nothing", appConditions},
		{"app/of concurrent writes from one version one wins", appRace},
		{"history/what, who and when", historyRecords},
		{"history/keeps the last changes of each app", historyBounded},
		{"history/purge forgets deleted apps only", historyPurge},
		{"adopt/an app goes on where it was", adoptGoesOn},
		{"adopt/what went on here stays", adoptKeeps},
		{"watch/hears of writes", watchHears},
		{"preview/round trip", previewRoundTrip},
		{"preview/the same route twice", previewTwice},
		{"preview/a fence replaces only smaller ones", previewFences},
		{"preview/one token for a fence", previewToken},
		{"preview/a lost server may come back elsewhere", previewMoves},
		{"preview/concurrent fences, the largest wins", previewConcurrent},
		{"withdraw/removes up to its fence", withdrawUpTo},
		{"withdraw/leaves a newer fence", withdrawLeavesNewer},
		{"withdraw/absent is nil and still counts", withdrawAbsent},
		{"withdraw/a withdrawn fence never comes back", withdrawForEver},
		{"withdraw/concurrent with publishing", withdrawConcurrent},
		{"purge/forgets only old withdrawals", purge},
		{"limits/longest values", longest},
		{"context/an ended one is an error", endedContext},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(&subject{t, open(t)})
		})
	}
}

// subject is the driver under one test.
type subject struct {
	*testing.T
	deployment.Driver
}

// published is a whole microsecond, the finest that drivers must keep.
var published = time.Date(2026, 3, 4, 5, 6, 7, 890_123_000, time.UTC)

const (
	tokenA = "aaaabbbbccccdddd"
	tokenB = "2345672345672345"
)

func route(id string, fence int64) deployment.Preview {
	return deployment.Preview{SandboxID: id, Token: tokenA, Fence: fence, Endpoint: "127.0.0.1:4000", PublishedAt: published}
}
