package chaos

import (
	"maps"
	"slices"
)

// base is the version of a session whose list is empty: one mutation made it.
const base = 1

// sessions holds each list against what was sent to it.
func (c *checker) sessions(h *History, f Final) {
	parked := parked(f)
	at := map[string]int{} // the position of each mutation in its session's list, from 1
	for _, id := range slices.Sorted(maps.Keys(f.Sessions)) {
		s := f.Sessions[id]
		for i, member := range s.List {
			m := h.Mutations[member]
			switch {
			case m == nil || m.Session != id:
				c.add(Invented, "session %s has %s, which nobody sent to it", id, member)
			case at[member] > 0:
				c.add(Doubled, "session %s has %s at %d and at %d", id, member, at[member], i+1)
			case m.Outcome == Rejected:
				c.add(Invented, "session %s has %s, which was rejected", id, member)
			default:
				at[member] = i + 1
			}
		}
		if want := int64(base + len(s.List)); s.Version != want {
			c.add(Wrong, "session %s is at version %d with %d mutations, which make it %d", id, s.Version, len(s.List), want)
		}
		c.order(h, id, s.List, at)
	}
	for _, id := range slices.Sorted(maps.Keys(h.Mutations)) {
		m := h.Mutations[id]
		switch {
		case m.Outcome.durable() && at[id] == 0 && !parked[id]:
			c.add(Lost, "mutation %s of session %s was %s and is not there", id, m.Session, m.Outcome)
		case at[id] > 0 && m.Version > 0 && m.Version != int64(base+at[id]):
			c.add(Wrong, "mutation %s of session %s made version %d, a client was told %d", id, m.Session, base+at[id], m.Version)
		}
	}
}

// order holds that what was known to be durable before another mutation was sent stands before it. One pass from the end is enough: the
// earliest Known of what follows is all that counts.
func (c *checker) order(h *History, id string, list []string, at map[string]int) {
	var first *Mutation // of those that follow, the one that was known first
	for i, member := range slices.Backward(list) {
		m := h.Mutations[member]
		if m == nil || at[member] != i+1 { // invented, or doubled
			continue
		}
		if first != nil && first.Known < m.Invoked {
			c.add(Reordered, "session %s has %s before %s, which was %s before the other was sent", id, m.ID, first.ID, first.Outcome)
		}
		if m.Known > 0 && (first == nil || m.Known < first.Known) {
			first = m
		}
	}
}

// reads holds that nobody saw an older version than somebody had been told.
func (c *checker) reads(h *History) {
	for _, r := range h.Reads {
		if r.Seen < r.Floor {
			c.add(Wrong, "session %s was read at version %d when a client had been told %d", r.Session, r.Seen, r.Floor)
		}
	}
}
