package pubsubbus

import (
	"context"

	"cloud.google.com/go/pubsub/v2"

	"vibesdk-gcp/events"
)

// settle applies the verdicts of a run, up to the first that is not Done.
func (r *receiver) settle(l *lane, run []*item, verdicts []events.Verdict) {
	r.mu.Lock()
	for i, it := range run {
		var v events.Verdict
		if i < len(verdicts) {
			v = verdicts[i]
		}
		if v.Done {
			it.ack()
			r.forget(l, it)
			continue
		}
		it.apply(v)
		if r.mayCopy(it) && (v.After > r.d.o.HoldLimit || (r.ended || it.leaving) && it.changed) {
			r.mu.Unlock()
			r.settleLater(l, it)
			return
		}
		break
	}
	r.rest(l)
	r.mu.Unlock()
}

// settleLater publishes a copy of the only message of a running lane and acknowledges it. If that fails the
// message stays.
func (r *receiver) settleLater(l *lane, it *item) {
	errs := r.sendBack([]*item{it})
	r.mu.Lock()
	defer r.mu.Unlock()
	if errs[0] == nil {
		it.ack()
		r.forget(l, it)
	}
	r.rest(l)
}

// rest puts a lane that ran into its next state. It is called with mu held.
func (r *receiver) rest(l *lane) {
	l.runs = false
	switch {
	case len(l.items) == 0:
		delete(r.lanes, l.key)
	case r.ended:
		r.giveBack(l)
	default:
		r.cut(l)
	}
}

// mayCopy reports whether a copy can take the place of a message: on an ordered topic it would lose its place, and without an
// acknowledgement the original comes as well.
func (r *receiver) mayCopy(it *item) bool { return !r.sub.Topic.Ordered && !it.lost }

// forget removes the first message of a lane, which is settled. It is called with mu held.
func (r *receiver) forget(l *lane, it *item) {
	l.items[0] = nil
	l.items = l.items[1:]
	delete(r.items, it.id)
	r.release(it)
}

// giveBack drops all messages of a lane and notes them to be returned to the broker. It is called with mu held.
func (r *receiver) giveBack(l *lane) {
	r.returned = append(r.returned, l.items...)
	for len(l.items) > 0 {
		r.forget(l, l.items[0])
	}
	delete(r.lanes, l.key)
}

// sendBack publishes copies of messages of an unordered topic and returns the error of each. After the loss of
// the stream none is published: the originals, which cannot be acknowledged, come again themselves.
func (r *receiver) sendBack(items []*item) []error {
	errs := make([]error, len(items))
	r.mu.Lock()
	lost := r.lost
	r.mu.Unlock()
	if lost {
		for i := range errs {
			errs[i] = errUnsettled
		}
		return errs
	}
	copies := make([]*pubsub.Message, len(items))
	for i, it := range items {
		copies[i] = it.copy(r.sub.Name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	got := r.d.publish(ctx, r.sub.Topic, copies)
	for i, it := range items {
		errs[i] = got[min(i, len(got)-1)]
		if errs[i] != nil {
			r.d.o.Logger.WarnContext(ctx, "pubsub: a delayed message could not be published again, so its delay and attempts are kept in memory only",
				"subscription", r.sub.Name, "message", it.event.ID, "error", errs[i])
		}
	}
	return errs
}

// drain gives back what does not run and waits for what does. Messages whose attempts or delay only this process
// knows are published again with them, where the topic allows.
func (r *receiver) drain() {
	changed := r.end(false)
	if len(changed) > 0 {
		items := make([]*item, len(changed))
		for i, l := range changed {
			items[i] = l.items[0]
		}
		errs := r.sendBack(items)
		r.mu.Lock()
		for i, l := range changed {
			if errs[i] == nil {
				items[i].ack()
				r.forget(l, items[i])
			}
			r.giveBack(l)
		}
		r.mu.Unlock()
	}
	r.running.Wait()

	// Only now, for the broker may give a returned message to the stream that is about to close, where it is
	// stuck for a lease.
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range r.returned {
		it.nack()
	}
}

// abandon drops what does not run, after the stream failed, and waits for what does.
func (r *receiver) abandon() {
	r.end(true)
	r.running.Wait()
}

// end stops handing out, and gives back what does not run except for the lanes that it returns: those whose message
// has to be published again.
func (r *receiver) end(lost bool) (changed []*lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.lost = true, lost
	r.ready = nil
	for _, l := range r.lanes {
		if l.runs {
			continue
		}
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
			r.waiting--
		}
		if !lost && !r.sub.Topic.Ordered && l.items[0].changed {
			changed = append(changed, l)
			continue
		}
		r.giveBack(l)
	}
	return changed
}
