// Package sessiontest is the contract of [session.Driver] and of [session.Store] over it as tests: every driver's
// conformance test calls [Run]. [Bench] measures, and [Crash] holds a driver to its promises while processes are killed.
package sessiontest

import (
	"maps"
	"testing"
	"time"

	"vibesdk-gcp/platform/session"
)

// Opener opens another handle on one store, as another process has one. The first call, and what t.Cleanup
// closes, are up to whoever makes it.
type Opener func() session.Driver

// Features are what a driver does not promise.
type Features struct {
	// Gaps skips single cases: name of the case to the reason. A name that no case has is a failure.
	Gaps map[string]string
	// Patience is how long a case waits for what must happen. Defaults to 60 s.
	Patience time.Duration
	// Quiet is how long a case watches for what must not happen. Defaults to 200 ms.
	Quiet time.Duration
}

// Run runs every case against stores made by fresh, one for each case. Cases run in parallel.
func Run(t *testing.T, fresh func(t testing.TB) func() session.Driver, f Features) {
	t.Helper()
	if f.Patience == 0 {
		f.Patience = time.Minute
	}
	if f.Quiet == 0 {
		f.Quiet = 200 * time.Millisecond
	}
	gaps := maps.Clone(f.Gaps)
	for _, c := range cases {
		why, gap := gaps[c.name]
		delete(gaps, c.name)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if gap {
				t.Skipf("not promised by this driver: %s", why)
			}
			c.run(&world{T: t, f: f, open: fresh(t)})
		})
	}
	for name := range gaps {
		t.Errorf("Features.Gaps names %s, which is no case", name)
	}
}

// suiteCase is the name of one promise and its test.
type suiteCase struct {
	name string
	run  func(*world)
}

var cases = []suiteCase{
	{"NothingIsNotFound", nothingIsNotFound},
	{"EveryFieldComesBack", everyFieldComesBack},
	{"EveryByteComesBack", everyByteComesBack},
	{"EveryIDIsItsOwn", everyIDIsItsOwn},
	{"LargeRecordsComeBack", largeRecordsComeBack},
	{"OversizeIsRefusedOrStored", oversizeIsRefusedOrStored},

	{"SecondBeginningConflicts", secondBeginningConflicts},
	{"WrongCommitConflicts", wrongCommitConflicts},
	{"OneOfTwoCommitsWins", oneOfTwoCommitsWins},
	{"CountersLoseNothing", countersLoseNothing},
	{"PartsComeAndGo", partsComeAndGo},
	{"KnownIsMadeUseOf", knownIsMadeUseOf},
	{"KnownIsNeverTrusted", knownIsNeverTrusted},
	{"ReadersSeeNoMixture", readersSeeNoMixture},
	{"ReadersSeeNoMixtureOfLargeParts", readersSeeNoMixtureOfLargeParts},
	{"EndedContextIsNoAnswer", endedContextIsNoAnswer},

	{"WatchSeesTheNewest", watchSeesTheNewest},
	{"WatchBeginsWithWhatIsThere", watchBeginsWithWhatIsThere},
	{"WatchRisesUnderLoad", watchRisesUnderLoad},
	{"WatchEndsWhenTold", watchEndsWhenTold},
	{"WatchSeesARecordBegunAgain", watchSeesARecordBegunAgain},

	{"ListPagesByID", listPagesByID},
	{"ListPagesByAlarm", listPagesByAlarm},
	{"ListPagesByExpiry", listPagesByExpiry},
	{"ListFollowsCommits", listFollowsCommits},

	{"RemoveComparesTheCommit", removeComparesTheCommit},
	{"RemovedCanBeginAgain", removedCanBeginAgain},

	{"MutationsChangeTheRecord", mutationsChangeTheRecord},
	{"UnusableIDsChangeNothing", unusableIDsChangeNothing},
	{"DuplicatesAreRecognised", duplicatesAreRecognised},
	{"RingForgetsAtItsEdge", ringForgetsAtItsEdge},
	{"ReusedIDsAreRefused", reusedIDsAreRefused},
	{"ExpectedIsCompared", expectedIsCompared},
	{"RejectionsAreReconsidered", rejectionsAreReconsidered},
	{"LimitsAreKept", limitsAreKept},

	{"CallersShareCommits", callersShareCommits},
	{"LongSlicesKeepTheirOrder", longSlicesKeepTheirOrder},
	{"LeavingCallersHarmNobody", leavingCallersHarmNobody},
	{"AbandonedCommitsEnd", abandonedCommitsEnd},
	{"UnknownOutcomesAreResolved", unknownOutcomesAreResolved},
	{"FailuresLastUntilTheContextEnds", failuresLastUntilTheContextEnds},
	{"RefusalsHitOnlyTheLarge", refusalsHitOnlyTheLarge},
	{"HistoriesAreLinearizable", historiesAreLinearizable},

	{"StaleCachesAreNoticed", staleCachesAreNoticed},
	{"SessionsExpire", sessionsExpire},
	{"RemovedSessionsAreNotRemembered", removedSessionsAreNotRemembered},
	{"DestroyedSessionsRemember", destroyedSessionsRemember},
	{"WaitsEndWithTheOutcome", waitsEndWithTheOutcome},
	{"ReadersOutlastBrokenWatches", readersOutlastBrokenWatches},
	{"ClonesCopyTheNewest", clonesCopyTheNewest},
	{"AlarmsAreListed", alarmsAreListed},

	{"AdoptedSessionsGoOn", adoptedSessionsGoOn},
	{"AdoptedRefusalsAreKnown", adoptedRefusalsAreKnown},
	{"AdoptedTombstonesRemember", adoptedTombstonesRemember},
	{"AdoptionIsOne", adoptionIsOne},
	{"FaultyRecordsAreNotAdopted", faultyRecordsAreNotAdopted},
}
