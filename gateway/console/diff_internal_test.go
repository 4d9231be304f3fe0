package console

import (
	"strings"
	"testing"
)

// text writes a diff as patch writes it.
func (d diff) text() string {
	var b strings.Builder
	for _, h := range d.Hunks {
		b.WriteString("@" + h.Title + "\n")
		for _, line := range h.Lines {
			b.WriteString(line.Sign + line.Text + "\n")
		}
	}
	return b.String()
}

func TestCompareShowsTheLinesThatDiffer(t *testing.T) {
	t.Parallel()
	from := "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3,\n  \"d\": 4,\n  \"e\": 5,\n  \"f\": 6\n}"
	to := strings.Replace(strings.Replace(from, "2", "20", 1), "\n}", ",\n  \"g\": 7\n}", 1)
	want := `@from line 1
 {
   "a": 1,
−  "b": 2,
+  "b": 20,
   "c": 3,
   "d": 4,
   "e": 5,
−  "f": 6
+  "f": 6,
+  "g": 7
 }
`
	if got := compare("x", "y", from, to).text(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestCompareOfEqualAndOfHugeTexts(t *testing.T) {
	t.Parallel()
	if d := compare("", "", "same", "same"); !d.Same || d.Hunks != nil {
		t.Errorf("%+v", d)
	}
	if d := compare("", "", "a", strings.Repeat("x", maxDiff+1)); !d.Large || d.Hunks != nil {
		t.Error("a huge text is compared")
	}
	if got := compare("", "", "", "new").text(); got != "@from line 1\n−\n+new\n" && got != "@from line 1\n+new\n" {
		t.Errorf("from nothing: %q", got)
	}
}

// FuzzCompare proves that the two sides can be read back from the lines when all of them are shown.
func FuzzCompare(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nx\nc\n")
	f.Add("", "漢\n字")
	f.Fuzz(func(t *testing.T, from, to string) {
		if len(from) > 1<<10 || len(to) > 1<<10 {
			return
		}
		d := compare("", "", from, to)
		removed, added := 0, 0
		for _, h := range d.Hunks {
			for _, line := range h.Lines {
				switch line.Kind {
				case "remove":
					removed++
					if !strings.Contains(ended(from), line.Text+"\n") {
						t.Errorf("%q is not in %q", line.Text, from)
					}
				case "add":
					added++
					if !strings.Contains(ended(to), line.Text+"\n") {
						t.Errorf("%q is not in %q", line.Text, to)
					}
				}
			}
		}
		if lines := strings.Count(ended(to), "\n") - strings.Count(ended(from), "\n"); !d.Same && added-removed != lines {
			t.Errorf("%d added, %d removed, but there are %d more lines", added, removed, lines)
		}
	})
}
