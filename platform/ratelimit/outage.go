package ratelimit

import (
	"log/slog"
	"sync/atomic"
)

// outage logs when the backend stops answering and when it answers again, not every call between.
type outage struct {
	log  *slog.Logger
	down atomic.Bool
}

func (o *outage) began(err error) {
	if !o.down.Swap(true) {
		o.log.Warn("ratelimit: backend does not answer, each limit does what its policy says", "error", err)
	}
}

func (o *outage) ended() {
	if o.down.Load() && o.down.Swap(false) {
		o.log.Info("ratelimit: backend answers again")
	}
}
