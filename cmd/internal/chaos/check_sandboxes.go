package chaos

import (
	"maps"
	"slices"
)

// sandboxes holds the records against the requests.
func (c *checker) sandboxes(h *History, f Final) {
	parked := parked(f)
	of := map[string][]Sandbox{}
	for _, s := range f.Sandboxes {
		if _, asked := h.Requests[s.RequestID]; !asked {
			c.add(Invented, "sandbox %s of request %s, which nobody sent", s.ID, s.RequestID)
		}
		of[s.RequestID] = append(of[s.RequestID], s)
	}
	for _, id := range slices.Sorted(maps.Keys(h.Requests)) {
		if n := len(of[id]); n > 1 {
			c.add(Doubled, "request %s made %d sandboxes", id, n)
		} else if n == 0 && h.Requests[id].durable() && !parked[id] {
			c.add(Lost, "request %s was %s and made no sandbox", id, h.Requests[id])
		}
		for _, s := range of[id] {
			switch {
			case !s.Ended:
				c.add(Waiting, "sandbox %s has not ended", s.ID)
			case s.Failed && s.Reason == "":
				c.add(Wrong, "sandbox %s failed without a reason", s.ID)
			}
		}
	}
}
