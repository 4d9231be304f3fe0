package console

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

// overviewView is the first page.
type overviewView struct {
	// Letters are the counts of dead letters, those that are open first.
	Letters     []client.DeadLetterCount
	OpenLetters int
	OldestOpen  time.Time
	ShowLetters bool

	// ShowFigures is for those who may see what the process counts.
	ShowFigures bool
	Sandboxes   []stateCount
	Running     int
	Queues      []queue
	Waiting     int
	OldestAge   float64
	// KnowsQueues is false with a broker that does not tell us.
	KnowsQueues bool
	Charts      []chartView
	Window      time.Duration
}

// stateCount is how many sandboxes are in a state.
type stateCount struct {
	State client.State
	Count int
}

// queue is what waits for a subscription.
type queue struct {
	Subscription string
	Waiting      int
	Oldest       float64
}

func (v *visit) overview() error {
	var view overviewView
	if v.c.o.DeadLetters && v.may(auth.DeadLettersRead) {
		counts, err := v.api.DeadLetters().Count(v.r.Context(), client.DeadLetterQuery{})
		if err != nil {
			return err
		}
		view.letters(counts)
	}
	if h := v.c.o.History; h != nil && v.may(auth.MetricsRead) {
		view.ShowFigures, view.Window = true, h.Window()
		view.figures(h.Latest())
		for _, chart := range charts {
			view.Charts = append(view.Charts, draw(chart.figure.Name, chart.title, chart.about, chart.unit, h.Chart(chart.figure.Name)))
		}
	}
	return v.showAs(200, "overview", shell{Section: "/", Title: "Overview", Every: 10, Data: view})
}

func (o *overviewView) letters(counts []client.DeadLetterCount) {
	o.ShowLetters = true
	slices.SortStableFunc(counts, func(a, b client.DeadLetterCount) int {
		return cmp.Or(cmp.Compare(letterOrder[a.State], letterOrder[b.State]), cmp.Compare(a.Subscription, b.Subscription))
	})
	o.Letters = counts
	for _, c := range counts {
		if c.State != client.LetterOpen {
			continue
		}
		o.OpenLetters += c.Count
		if o.OldestOpen.IsZero() || c.Oldest.Before(o.OldestOpen) {
			o.OldestOpen = c.Oldest
		}
	}
}

var letterOrder = map[client.LetterState]int{client.LetterOpen: 0, client.LetterParked: 1, client.LetterReplayed: 2}

// liveStates are the states of sandboxes that have not ended, in their order.
var liveStates = []client.State{client.Requested, client.Building, client.Starting, client.Ready, client.Stopping}

func (o *overviewView) figures(latest map[string]map[string]float64) {
	for _, state := range liveStates {
		n := int(latest[figureSandboxes][string(state)])
		o.Sandboxes = append(o.Sandboxes, stateCount{state, n})
		o.Running += n
	}
	waiting := latest[figureWaiting]
	o.KnowsQueues = len(waiting) > 0
	for _, name := range slices.Sorted(maps.Keys(waiting)) {
		q := queue{name, int(waiting[name]), latest[figureOldest][name]}
		o.Queues = append(o.Queues, q)
		o.Waiting += q.Waiting
		o.OldestAge = max(o.OldestAge, q.Oldest)
	}
}

// gone reports whether an error says that there is nothing of that name.
func gone(err error) bool { return errors.Is(err, client.ErrNotFound) }
