package obs

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Figure is one figure of the process to keep, told by its Prometheus name.
type Figure struct {
	// Name is what [History] knows it by.
	Name string
	// Family is a counter, a gauge or a histogram; of a histogram the number of observations counts.
	Family string
	// Where leaves out what has other values of labels; nil takes all.
	Where map[string]string
	// By makes a line of each value of a label. Empty sums up.
	By string
	// Rate is for counters: how much is added in a second.
	Rate bool
}

// HistoryOptions say what is kept and how much.
type HistoryOptions struct {
	Figures []Figure
	// Every is the time between two samples, Keep how many there are. Default to 10 s and 360: an hour.
	Every time.Duration
	Keep  int
	// Now defaults to [time.Now].
	Now func() time.Time
}

// History keeps the last samples of some figures in memory, so that a page can show what this process did without a monitoring
// system. It knows nothing of other processes nor of the time before it began. It is safe for concurrent use.
type History struct {
	o      HistoryOptions
	gather prometheus.Gatherer

	mu      sync.Mutex
	samples []sample // the oldest first
}

// sample is what the figures were at a time: by figure, then by the value of its label.
type sample struct {
	at     time.Time
	values []map[string]float64
}

// Line is one line of a [Chart].
type Line struct {
	// Label is the value of the label that the figure is split by; empty for one that is summed up.
	Label string
	// Points belong to the times of the chart. NaN is no value.
	Points []float64
}

// Chart is a figure over time. Its lines are in the order of their labels.
type Chart struct {
	Times []time.Time
	Lines []Line
}

// NewHistory returns the history of some figures, which [History.Run] fills.
func (t *Telemetry) NewHistory(o HistoryOptions) *History {
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Keep == 0 {
		o.Keep = 360
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &History{o: o, gather: t.gather}
}

// Window is the longest time that is kept.
func (h *History) Window() time.Duration { return time.Duration(h.o.Keep) * h.o.Every }

// Run takes samples until ctx ends; it returns nil then.
func (h *History) Run(ctx context.Context) error {
	ticker := time.NewTicker(h.o.Every)
	defer ticker.Stop()
	for {
		h.Sample()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sample takes one sample. A figure that cannot be read has no value in it.
func (h *History) Sample() {
	s := h.take()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.samples = append(h.samples, s)
	if extra := len(h.samples) - h.o.Keep; extra > 0 {
		h.samples = slices.Delete(h.samples, 0, extra)
	}
}

// Latest reads what all figures are at this moment, by name and by the value of their label, and keeps nothing. A counter is its
// total.
func (h *History) Latest() map[string]map[string]float64 {
	s := h.take()
	latest := map[string]map[string]float64{}
	for i, f := range h.o.Figures {
		latest[f.Name] = s.values[i]
	}
	return latest
}

func (h *History) take() sample {
	families, _ := h.gather.Gather() // what it could read it returns beside the error
	byName := map[string]*dto.MetricFamily{}
	for _, family := range families {
		byName[family.GetName()] = family
	}
	s := sample{at: h.o.Now(), values: make([]map[string]float64, len(h.o.Figures))}
	for i, f := range h.o.Figures {
		s.values[i] = f.read(byName[f.Family])
	}
	return s
}

// read is what a family says of the figure.
func (f Figure) read(family *dto.MetricFamily) map[string]float64 {
	values := map[string]float64{}
	for _, m := range family.GetMetric() {
		labels := map[string]string{}
		for _, pair := range m.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		if f.takes(labels) {
			values[labels[f.By]] += valueOf(m)
		}
	}
	return values
}

func (f Figure) takes(labels map[string]string) bool {
	for name, value := range f.Where {
		if labels[name] != value {
			return false
		}
	}
	return true
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetHistogram() != nil:
		return float64(m.GetHistogram().GetSampleCount())
	default:
		return m.GetGauge().GetValue()
	}
}

// Chart is one figure over the time that is kept. A rate has no value at the first time.
func (h *History) Chart(name string) Chart {
	i := slices.IndexFunc(h.o.Figures, func(f Figure) bool { return f.Name == name })
	if i < 0 {
		return Chart{}
	}
	h.mu.Lock()
	samples := slices.Clone(h.samples)
	h.mu.Unlock()
	c := Chart{Times: make([]time.Time, len(samples))}
	var labels []string
	for n, s := range samples {
		c.Times[n] = s.at
		for label := range s.values[i] {
			if at, found := slices.BinarySearch(labels, label); !found {
				labels = slices.Insert(labels, at, label)
			}
		}
	}
	for _, label := range labels {
		line := Line{Label: label, Points: make([]float64, len(samples))}
		for n := range samples {
			line.Points[n] = point(samples, n, i, label, h.o.Figures[i].Rate)
		}
		c.Lines = append(c.Lines, line)
	}
	return c
}

// point is one value of a line.
func point(samples []sample, n, figure int, label string, rate bool) float64 {
	value, ok := samples[n].values[figure][label]
	switch {
	case !ok:
		return math.NaN()
	case !rate:
		return value
	case n == 0:
		return math.NaN()
	}
	// A counter that is not there yet is at 0: it appears with its first count.
	seconds := samples[n].at.Sub(samples[n-1].at).Seconds()
	if seconds <= 0 {
		return math.NaN()
	}
	return max(0, value-samples[n-1].values[figure][label]) / seconds
}
