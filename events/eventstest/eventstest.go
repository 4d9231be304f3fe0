// Package eventstest is the contract of [events.Driver] as tests, run through [events.Bus]: every promise that
// docs/guarantees.md makes for the bus is a case here, and every driver's conformance test calls [Run].
package eventstest

import (
	"cmp"
	"maps"
	"testing"
	"time"

	"vibesdk-gcp/events"
)

// Opener opens a driver on one durable broker. Each call stands for a process: a call while an earlier
// driver is open is a second process beside it, a call after Close is a restart. The subscriptions given in any
// call, and [events.Parked], exist from then on. The case closes what it opens.
type Opener func(t testing.TB, subs ...events.Subscription) events.Driver

// Features are what a driver does not promise. A reason in a text field skips the cases that need the promise,
// and prints the reason.
type Features struct {
	// NoDurableDelay: the delay of a retry may be cut short by a restart.
	NoDurableDelay string
	// NoExactAttempts: Message.Attempt may restart or jump.
	NoExactAttempts string
	// NoDurableDrain: a message acknowledged while draining may come again.
	NoDurableDrain string
	// NoSharing: two consumers may not get work at the same time.
	NoSharing string
	// NoWithholding: NotBefore is not honoured.
	NoWithholding string
	// Gaps skips single cases: name of the case to the reason. A name that no case has is a failure.
	Gaps map[string]string
	// Patience is how long a case waits for what must happen. Defaults to 30 s.
	Patience time.Duration
	// Quiet is how long a case watches for what must not happen. Defaults to 300 ms.
	Quiet time.Duration
}

// Run runs every case against brokers made by fresh, one for each case. Cases run in parallel.
func Run(t *testing.T, fresh func(t testing.TB) Opener, f Features) {
	if f.Patience == 0 {
		f.Patience = 30 * time.Second
	}
	if f.Quiet == 0 {
		f.Quiet = 300 * time.Millisecond
	}
	cases := []struct {
		name string
		gap  string
		run  func(*world)
	}{
		{"EveryMessageIsHandled", "", everyMessageIsHandled},
		{"EnvelopeArrivesAsPublished", "", envelopeArrivesAsPublished},
		{"LargestMessageArrives", "", largestMessageArrives},
		{"TopicsAreIsolated", "", topicsAreIsolated},
		{"EverySubscriptionGetsEveryMessage", "", everySubscriptionGetsEveryMessage},
		{"InvalidPublishChangesNothing", "", invalidPublishChangesNothing},
		{"EndedContextFailsPublish", "", endedContextFailsPublish},
		{"NotBeforeHoldsDeliveryBack", f.NoWithholding, notBeforeHoldsDeliveryBack},

		{"KeyIsInOrder", "", keyIsInOrder},
		{"KeyIsInOrderAcrossRetries", "", keyIsInOrderAcrossRetries},
		{"KeyIsInOrderAcrossRestarts", "", keyIsInOrderAcrossRestarts},
		{"SlowKeyStallsNoOther", "", slowKeyStallsNoOther},
		{"DelayedKeyStallsNoOther", "", delayedKeyStallsNoOther},
		{"RunsHoldOneKeyInOrder", "", runsHoldOneKeyInOrder},
		{"BatchOutcomesApplyToEach", "", batchOutcomesApplyToEach},

		{"RedeliveryKeepsTheEnvelope", "", redeliveryKeepsTheEnvelope},
		{"AttemptsAreCounted", f.NoExactAttempts, attemptsAreCounted},
		{"RetryAfterIsNotCounted", f.NoExactAttempts, retryAfterIsNotCounted},
		{"RetryAfterWaits", "", retryAfterWaits},
		{"DelayedRetrySurvivesRestart", "", delayedRetrySurvivesRestart},
		{"DelaySurvivesRestart", f.NoDurableDelay, delaySurvivesRestart},
		{"AttemptsSurviveRestart", f.NoExactAttempts, attemptsSurviveRestart},

		{"PermanentErrorParksAtOnce", "", permanentErrorParksAtOnce},
		{"PoisonParksAfterTwentyAttempts", f.NoExactAttempts, poisonParksAfterTwentyAttempts},
		{"PoisonLetsItsKeyGoOn", "", poisonLetsItsKeyGoOn},
		{"PanicIsAnError", "", panicIsAnError},
		{"ExitIsAnError", "", exitIsAnError},
		{"DeadLettersAreNeverParked", "", deadLettersAreNeverParked},

		{"DrainLosesNoAck", f.NoDurableDrain, drainLosesNoAck},
		{"DrainLosesNoMessage", "", drainLosesNoMessage},
		{"ConsumersShareWork", f.NoSharing, consumersShareWork},
		{"ConsumersNeverShareAKey", "", consumersNeverShareAKey},
		{"LaterConsumerFindsEarlierMessages", "", laterConsumerFindsEarlierMessages},
		{"CloseTwiceIsNil", "", closeTwiceIsNil},
	}
	gaps := maps.Clone(f.Gaps)
	for _, c := range cases {
		why := cmp.Or(gaps[c.name], c.gap)
		delete(gaps, c.name)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if why != "" {
				t.Skipf("not promised by this driver: %s", why)
			}
			c.run(&world{T: t, f: f, open: fresh(t)})
		})
	}
	for name := range gaps {
		t.Errorf("Features.Gaps names %s, which is no case", name)
	}
}
