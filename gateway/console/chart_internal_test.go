package console

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/internal/obs"
)

func TestAChartHasPiecesWhereThereAreValues(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	times := []time.Time{begin, begin.Add(10 * time.Second), begin.Add(20 * time.Second), begin.Add(30 * time.Second), begin.Add(40 * time.Second)}
	nan := math.NaN()
	v := draw("x", "Title", "About", "unit", obs.Chart{Times: times, Lines: []obs.Line{{Label: "a", Points: []float64{0, 3, nan, 4, nan}}}})
	want := chartLine{Label: "a", Tone: 1, Paths: []string{"44.0,166.0 170.5,73.6", "423.5,42.8 423.5,42.8"}, Latest: "–", Peak: "4"}
	if diff := cmp.Diff([]chartLine{want}, v.Lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]gridLine{{"166.0", "0"}, {"89.0", "2.5"}, {"12.0", "5"}}, v.Grid); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if v.Marks[0].Text != "10:00:00" || v.Marks[2].Text != "10:00:40" {
		t.Errorf("marks %v", v.Marks)
	}
}

func TestAChartOfTooLittleIsEmpty(t *testing.T) {
	t.Parallel()
	for _, c := range []obs.Chart{{}, {Times: make([]time.Time, 1), Lines: []obs.Line{{Points: []float64{1}}}}, {Times: make([]time.Time, 3)}} {
		if v := draw("x", "", "", "", c); len(v.Lines) != 0 || len(v.Grid) != 0 {
			t.Errorf("%+v is drawn as %+v", c, v)
		}
	}
}

func TestLinesBeyondThoseWithAColourAreSummedUp(t *testing.T) {
	t.Parallel()
	var lines []obs.Line
	for i := range 9 {
		lines = append(lines, obs.Line{Label: fmt.Sprint(i), Points: []float64{math.NaN(), float64(i)}})
	}
	got := fold(lines)
	if len(got) != chartLines || got[5].Label != "others" || !math.IsNaN(got[5].Points[0]) || got[5].Points[1] != 5+6+7+8 || got[4].Label != "4" {
		t.Errorf("%+v", got)
	}
	if len(lines) != 9 || lines[5].Label != "5" {
		t.Error("the lines that were given are changed")
	}
}

func TestCeiling(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]float64{0: 1, -1: 1, .03: .05, 1: 1, 1.1: 2, 4: 5, 51: 100, 1999: 2000, math.Inf(1): 1} {
		if got := ceiling(value); math.Abs(got-want) > want*1e-9 {
			t.Errorf("ceiling(%g) = %g, want %g", value, got, want)
		}
	}
}
