package console

import "vibesdk-gcp/internal/obs"

// Names of the figures that pages read.
const (
	figureSandboxes = "sandboxes"
	figureWaiting   = "waiting"
	figureOldest    = "oldest"
)

// charts are what the overview draws, in its order.
var charts = []struct {
	title, about, unit string
	figure             obs.Figure
}{
	{"Messages handled", "By what became of them.", "messages a second", obs.Figure{Name: "settled", Family: "events_settled_total", By: "outcome", Rate: true}},
	{"Messages published", "By topic; accepted ones only.", "messages a second", obs.Figure{
		Name: "published", Family: "events_published_total", By: "topic", Where: map[string]string{"outcome": "accepted"}, Rate: true,
	}},
	{"Messages waiting", "In the queue of each subscription, those being handled included.", "messages", obs.Figure{
		Name: figureWaiting, Family: "events_waiting", By: "subscription",
	}},
	{"Calls answered", "By status, those of these pages included.", "calls a second", obs.Figure{Name: "calls", Family: "gateway_request_duration_seconds", By: "status", Rate: true}},
	{"Sandboxes", "By state; those that have ended are not counted.", "sandboxes", obs.Figure{Name: figureSandboxes, Family: "sandbox_records", By: "state"}},
	{"Changes of sessions", "Mutations by outcome.", "changes a second", obs.Figure{Name: "mutations", Family: "session_mutations_total", By: "outcome", Rate: true}},
}

// Figures are what the history of a console has to keep.
func Figures() []obs.Figure {
	figures := []obs.Figure{{Name: figureOldest, Family: "events_oldest_age_seconds", By: "subscription"}}
	for _, chart := range charts {
		figures = append(figures, chart.figure)
	}
	return figures
}
