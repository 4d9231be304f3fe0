package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"vibesdk-gcp/internal/obs"
)

// Size of a chart in its own units: the picture is as wide as its place. The margins hold the labels of the axes.
const (
	chartWidth, chartHeight = 560, 190
	chartLeft, chartBottom  = 44, 24
	chartTop, chartRight    = 12, 10
	// chartLines is how many lines have a colour and a dash of their own. Those beyond are summed up as others.
	chartLines = 6
)

// chartView is a chart to be drawn.
type chartView struct {
	ID, Title, About, Unit string
	Width, Height          int
	Left, Right, Base      int
	Grid                   []gridLine
	Marks                  []mark
	Lines                  []chartLine
}

// gridLine is a line across, with what it stands for.
type gridLine struct {
	Y    string
	Text string
}

// mark is a time below.
type mark struct {
	X    string
	Text string
}

// chartLine is one line, with pieces where there are values.
type chartLine struct {
	Label  string
	Tone   int // 1 to chartLines
	Paths  []string
	Latest string
	Peak   string
}

// draw makes the picture of a figure. A chart without two samples has no lines.
func draw(id, title, about, unit string, c obs.Chart) chartView {
	v := chartView{
		ID: "chart-" + id, Title: title, About: about, Unit: unit, Width: chartWidth, Height: chartHeight,
		Left: chartLeft, Right: chartWidth - chartRight, Base: chartHeight - chartBottom,
	}
	lines := fold(c.Lines)
	if len(c.Times) < 2 || len(lines) == 0 {
		return v
	}
	top := ceiling(peakOf(lines))
	height := func(value float64) string {
		return coordinate(float64(v.Base) - value/top*float64(v.Base-chartTop))
	}
	for _, share := range []float64{0, .5, 1} {
		v.Grid = append(v.Grid, gridLine{height(top * share), axis(top * share)})
	}
	first, last := c.Times[0], c.Times[len(c.Times)-1]
	span := max(last.Sub(first), time.Second)
	across := func(t time.Time) string {
		return coordinate(float64(v.Left) + float64(t.Sub(first))/float64(span)*float64(v.Right-v.Left))
	}
	for _, at := range []time.Time{first, first.Add(span / 2), last} {
		v.Marks = append(v.Marks, mark{across(at), at.UTC().Format("15:04:05")})
	}
	for i, line := range lines {
		out := chartLine{Label: line.Label, Tone: i + 1, Latest: number(line.Points[len(line.Points)-1]), Peak: number(peakOf([]obs.Line{line}))}
		var piece []string
		end := func() {
			if len(piece) == 1 { // a value between two gaps is a dot
				piece = append(piece, piece[0])
			}
			if len(piece) > 0 {
				out.Paths = append(out.Paths, strings.Join(piece, " "))
			}
			piece = nil
		}
		for n, value := range line.Points {
			if math.IsNaN(value) {
				end()
				continue
			}
			piece = append(piece, across(c.Times[n])+","+height(value))
		}
		end()
		v.Lines = append(v.Lines, out)
	}
	return v
}

// fold keeps as many lines as can be told apart; the rest becomes one.
func fold(lines []obs.Line) []obs.Line {
	if len(lines) <= chartLines {
		return lines
	}
	others := obs.Line{Label: "others", Points: make([]float64, len(lines[0].Points))}
	for n := range others.Points {
		others.Points[n] = math.NaN()
		for _, line := range lines[chartLines-1:] {
			switch value := line.Points[n]; {
			case math.IsNaN(value):
			case math.IsNaN(others.Points[n]):
				others.Points[n] = value
			default:
				others.Points[n] += value
			}
		}
	}
	return append(lines[:chartLines-1:chartLines-1], others)
}

func peakOf(lines []obs.Line) float64 {
	peak := 0.0
	for _, line := range lines {
		for _, value := range line.Points {
			if !math.IsNaN(value) {
				peak = max(peak, value)
			}
		}
	}
	return peak
}

// ceiling is the least round number that is not below a value: 1, 2 or 5 of a power of ten.
func ceiling(value float64) float64 {
	if value <= 0 || math.IsInf(value, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(value)))
	for _, step := range []float64{1, 2, 5} {
		if value <= step*power {
			return step * power
		}
	}
	return 10 * power
}

func coordinate(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }

// axis is a round number for the axis.
func axis(value float64) string {
	switch {
	case value >= 1e6:
		return fmt.Sprintf("%gM", value/1e6)
	case value >= 1e3:
		return fmt.Sprintf("%gk", value/1e3)
	default:
		return fmt.Sprintf("%.3g", value)
	}
}
