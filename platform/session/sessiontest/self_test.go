package sessiontest_test

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sessiontest"
)

var (
	broken   = flag.String("broken", "", "what the driver of TestDriver does wrong")
	patience = flag.Duration("patience", 0, "Features.Patience of TestDriver")
)

func TestMain(m *testing.M) {
	sessiontest.CrashMain(openSQLite)
	flag.Parse()
	os.Exit(m.Run())
}

// TestDriver is the suite on a driver that keeps every promise; TestSuiteRejects runs it again on others.
func TestDriver(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(testing.TB) func() session.Driver {
		m := newMemory(*broken)
		return func() session.Driver { return m }
	}, sessiontest.Features{Patience: *patience})
}

// TestSuiteRejects breaks one promise at a time and expects the case that covers it to fail.
func TestSuiteRejects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fault, failing string }{
		{"loses a race", "OneOfTwoCommitsWins"},
		{"loses a race", "CountersLoseNothing"},
		{"loses a race", "StaleCachesAreNoticed"},
		{"lags", "HistoriesAreLinearizable"},
		{"lags", "ReadersSeeNoMixture"},
		{"leaves parts of a lost commit", "WrongCommitConflicts"},
		{"tears reads", "ReadersSeeNoMixture"},
		{"misses the last commit", "WatchSeesTheNewest"},
		{"repeats what is known", "WatchBeginsWithWhatIsThere"},
		{"reads what is known", "KnownIsMadeUseOf"},
		{"trusts what is known", "KnownIsNeverTrusted"},
		{"keeps removed parts", "PartsComeAndGo"},
		{"forgets unchanged parts", "PartsComeAndGo"},
		{"parses parts", "EveryByteComesBack"},
		{"keeps milliseconds", "EveryFieldComesBack"},
		{"folds case", "EveryIDIsItsOwn"},
		{"loses ties", "ListPagesByAlarm"},
		{"removes anything", "RemoveComparesTheCommit"},
		{"refuses what it was not asked", "EndedContextIsNoAnswer"},
	} {
		t.Run(c.fault+"/"+c.failing, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDriver$/^"+c.failing+"$", "-broken="+c.fault, "-test.timeout=2m", "-patience=2s").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestDriver/"+c.failing) {
				t.Errorf("%s does not notice a driver that %s: %v\n%s", c.failing, c.fault, err, out)
			}
		})
	}
}
