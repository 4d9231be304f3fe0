package events

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// delay is how long to wait after the given failed attempt (1 for the first): exponential from minimum,
// doubled each time, at most maximum, and then jittered down by up to half with random in [0, 1).
func delay(minimum, maximum time.Duration, attempt int, random float64) time.Duration {
	numbers := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(minimum),
		backoff.WithMaxInterval(maximum),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0),
		backoff.WithMaxElapsedTime(0),
	)
	d := numbers.NextBackOff()
	for n := 1; n < attempt && d < maximum; n++ {
		d = numbers.NextBackOff()
	}
	d = min(d, maximum)
	return d - time.Duration(random*float64(d)/2)
}
