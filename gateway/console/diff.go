package console

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// maxDiff is the longest text that is compared, in bytes.
const maxDiff = 512 << 10

// diff is how one text becomes another, line by line.
type diff struct {
	From, To string
	Hunks    []hunk
	// Same tells that the texts are equal, Large that they are too long to compare.
	Same, Large bool
}

// hunk is a run of lines around a change.
type hunk struct {
	Title string
	Lines []diffLine
}

// diffLine is one line. Kind is add, remove or same; Sign says it to who sees no colours.
type diffLine struct {
	Kind, Sign, Text string
}

// compare finds the lines that differ, with three lines around each change.
func compare(fromName, toName, from, to string) diff {
	d := diff{From: fromName, To: toName, Same: from == to, Large: len(from) > maxDiff || len(to) > maxDiff}
	if d.Same || d.Large {
		return d
	}
	from, to = ended(from), ended(to)
	found, err := udiff.ToUnifiedDiff(fromName, toName, from, udiff.Strings(from, to), udiff.DefaultContextLines)
	if err != nil { // the edits are those of the texts
		d.Large = true
		return d
	}
	for _, h := range found.Hunks {
		out := hunk{Title: fmt.Sprintf("from line %d", h.FromLine)}
		for _, line := range h.Lines {
			text := strings.TrimSuffix(line.Content, "\n")
			switch line.Kind {
			case udiff.Delete:
				out.Lines = append(out.Lines, diffLine{"remove", "−", text})
			case udiff.Insert:
				out.Lines = append(out.Lines, diffLine{"add", "+", text})
			default:
				out.Lines = append(out.Lines, diffLine{"same", " ", text})
			}
		}
		d.Hunks = append(d.Hunks, out)
	}
	return d
}

// ended is a text whose last line has an end, so that its lack is no difference.
func ended(text string) string { return strings.TrimSuffix(text, "\n") + "\n" }
