package pubsubbus

import (
	"slices"
	"time"
)

// withdraw ends the waiting for one delivery of a message, because the request that brought it ends. With answerable the request can
// still be answered; without it, it has ended. The message leaves with its last delivery: at once when it waits, after its attempt when
// that runs. What it waited for then survives in a copy, where the topic allows and the original can be acknowledged.
func (r *receiver) withdraw(it *item, d delivery, answerable bool) {
	r.mu.Lock()
	if r.ended || r.items[it.id] != it {
		r.mu.Unlock() // it is settled, or the drain does so
		return
	}
	if len(it.deliveries) > 1 {
		it.deliveries = slices.DeleteFunc(it.deliveries, func(other delivery) bool { return other == d })
		r.mu.Unlock()
		d.Nack()
		return
	}
	it.leaving, it.lost = true, !answerable
	if it.lost {
		it.deliveries = nil
	}
	l := it.lane
	if l.runs {
		r.mu.Unlock() // rest comes after it
		return
	}
	r.unschedule(l)
	if !r.mayCopy(it) || !it.changed && time.Until(it.due) <= 0 {
		r.cut(l)
		r.mu.Unlock()
		return
	}
	r.leave(l, it)
}

// unschedule takes a lane out of its wait. It is called with mu held.
func (r *receiver) unschedule(l *lane) {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
		r.waiting--
	}
	r.ready = slices.DeleteFunc(r.ready, func(other *lane) bool { return other == l })
}

// cut drops the first message of a lane that leaves, and those behind it, whose order it would break; what is before goes on. It is
// called with mu held, for a lane that neither runs nor waits.
func (r *receiver) cut(l *lane) {
	keep := slices.IndexFunc(l.items, func(it *item) bool { return it.leaving })
	if keep < 0 {
		keep = len(l.items)
	}
	for _, it := range l.items[keep:] {
		it.nack()
		delete(r.items, it.id)
		r.release(it)
	}
	clear(l.items[keep:])
	l.items = l.items[:keep]
	if keep == 0 {
		delete(r.lanes, l.key)
		return
	}
	r.schedule(l)
}
