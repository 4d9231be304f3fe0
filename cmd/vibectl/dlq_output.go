package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"vibesdk-gcp/gateway/client"
)

func (c *cli) printLetters(list []client.DeadLetter, more bool, now time.Time) error {
	if c.format == "json" {
		return c.printJSON(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "no dead letters")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tSUBSCRIPTION\tKEY\tAGE\tTRIES\tREPLAYS\tREASON")
	for _, l := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", l.ID, l.State, l.Subscription, orDash(oneLine(l.Key, 24)),
			short(now.Sub(l.ParkedAt)), l.Attempts, l.Replays, oneLine(l.Reason, 70))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(c.out, "… and more: choose with a filter, or raise --limit\n")
	}
	return nil
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (c *cli) printLetterCounts(counts []client.DeadLetterCount, now time.Time) error {
	if c.format == "json" {
		if counts == nil {
			counts = []client.DeadLetterCount{}
		}
		return c.printJSON(counts)
	}
	if len(counts) == 0 {
		_, err := fmt.Fprintln(c.out, "no dead letters")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tSUBSCRIPTION\tSTATE\tCOUNT\tOLDEST")
	for _, n := range counts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", orDash(n.Topic), orDash(n.Subscription), n.State, n.Count, short(now.Sub(n.Oldest)))
	}
	return w.Flush()
}

func (c *cli) printLetter(l client.DeadLetter) error {
	if c.format == "json" {
		return c.printJSON(l)
	}
	why := "attempts ran out"
	if l.Permanent {
		why = "no retry mends it"
	}
	edited := ""
	if l.Edited {
		edited = "yes, not replayed yet"
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"id", l.ID}, {"state", string(l.State)}, {"note", l.Note}, {"reason", l.Reason},
		{"attempts", strconv.Itoa(l.Attempts) + ", " + why}, {"replays", strconv.Itoa(l.Replays)}, {"edited", edited},
		{"topic", l.Topic}, {"subscription", l.Subscription}, {"key", l.Key}, {"message", l.MessageID}, {"type", l.Type}, {"source", l.Source},
		{"published", at(l.Time)}, {"given up", at(l.ParkedAt)}, {"first given up", at(l.FirstParkedAt)}, {"version", strconv.FormatInt(l.Version, 10)},
	} {
		if row[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", row[0], strings.ReplaceAll(row[1], "\n", "\n\t"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Attributes)) {
		fmt.Fprintf(w, "attribute\t%s=%s\n", name, l.Attributes[name])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if l.Stack != "" {
		fmt.Fprintf(c.out, "\nstack\n  %s\n", strings.ReplaceAll(l.Stack, "\n", "\n  "))
	}
	data, err := l.Payload()
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, data, "", "  ") != nil {
		pretty.Reset()
		fmt.Fprintf(&pretty, "%q", data)
	}
	_, err = fmt.Fprintf(c.out, "\npayload, %d bytes\n%s\n", len(data), pretty.String())
	return err
}

func (c *cli) printPurged(count int, dryRun bool) error {
	if c.format == "json" {
		return c.printJSON(map[string]any{"purged": count, "dryRun": dryRun})
	}
	what := "deleted"
	if dryRun {
		what = "would be deleted"
	}
	_, err := fmt.Fprintf(c.out, "%d %s\n", count, what)
	return err
}
