package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind says what is wrong.
type Kind string

// The kinds of findings.
const (
	// Lost: what was accepted has no effect.
	Lost Kind = "lost"
	// Doubled: an effect is there twice.
	Doubled Kind = "doubled"
	// Invented: an effect that nobody asked for, or that was refused.
	Invented Kind = "invented"
	// Reordered: effects are in another order than they may be.
	Reordered Kind = "reordered"
	// Wrong: a client was told something else than what is.
	Wrong Kind = "wrong"
	// Early: a job ran before its time.
	Early Kind = "early"
	// Over: a limit admitted more than it may, or rejected before it was used up.
	Over Kind = "over"
	// Orphan: something is left of what ended.
	Orphan Kind = "orphan"
	// Waiting: it is not done yet. Only time tells it from lost.
	Waiting Kind = "waiting"
	// Panic: a program broke.
	Panic Kind = "panic"
)

// Finding is one thing that is not as it must be.
type Finding struct {
	Kind Kind
	What string
}

func (f Finding) String() string { return string(f.Kind) + ": " + f.What }

// Check compares what clients were told with what is there, and returns what does not fit, nothing when all is well. Nobody may add to
// the history meanwhile.
func Check(h *History, f Final) []Finding {
	var c checker
	h.Read(func() {
		c.sessions(h, f)
		c.reads(h)
		c.jobs(h, f)
		c.limits(h, f)
		c.sandboxes(h, f)
		c.letters(h, f)
	})
	for _, name := range slices.Sorted(maps.Keys(f.Waiting)) {
		if n := f.Waiting[name]; n > 0 {
			c.add(Waiting, "%d messages wait for %s", n, name)
		}
	}
	for _, what := range f.Orphans {
		c.add(Orphan, "%s", what)
	}
	for _, line := range f.Panics {
		c.add(Panic, "%s", line)
	}
	return c.found
}

// Mends reports that time may mend all findings: what is missing may come, and what is left may go.
func Mends(findings []Finding) bool {
	return !slices.ContainsFunc(findings, Finding.stays)
}

func (f Finding) stays() bool { return f.Kind != Lost && f.Kind != Waiting && f.Kind != Orphan }

// List writes findings one a line, what time does not mend first, and no more than fit on a screen.
func List(findings []Finding) string {
	const most = 40
	rank := func(f Finding) int {
		switch {
		case f.stays():
			return 0
		case f.Kind == Waiting:
			return 2
		default:
			return 1
		}
	}
	sorted := slices.SortedStableFunc(slices.Values(findings), func(a, b Finding) int { return rank(a) - rank(b) })
	var text strings.Builder
	for i, f := range sorted {
		if i == most {
			fmt.Fprintf(&text, "… and %d more\n", len(findings)-most)
			break
		}
		text.WriteString(f.String() + "\n")
	}
	return text.String()
}

type checker struct{ found []Finding }

func (c *checker) add(kind Kind, format string, args ...any) {
	c.found = append(c.found, Finding{kind, fmt.Sprintf(format, args...)})
}

// letters holds that each poison is a dead letter, and each dead letter something that was sent.
func (c *checker) letters(h *History, f Final) {
	filed := map[string]int{}
	for _, l := range f.Letters {
		filed[l.Subscription+" "+l.MessageID]++
	}
	for _, key := range slices.Sorted(maps.Keys(filed)) {
		if filed[key] > 1 {
			c.add(Doubled, "%d dead letters of %s", filed[key], key)
		}
	}
	parked := map[string]bool{}
	for _, l := range f.Letters {
		parked[l.MessageID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(h.Poison)) {
		if h.Poison[id].durable() && !parked[id] {
			c.add(Lost, "poison %s was %s and is no dead letter", id, h.Poison[id])
		}
	}
}

// parked reports what the dead letters are about.
func parked(f Final) map[string]bool {
	about := map[string]bool{}
	for _, l := range f.Letters {
		if l.Subject != "" {
			about[l.Subject] = true
		}
	}
	return about
}
