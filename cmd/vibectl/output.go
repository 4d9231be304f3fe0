package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"vibesdk-gcp/gateway/client"
)

func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (c *cli) printList(list []client.Sandbox, now time.Time) error {
	if c.format == "json" {
		if list == nil {
			list = []client.Sandbox{}
		}
		return c.printJSON(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "no sandboxes")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tAGE\tENDS IN\tPREVIEW OR REASON")
	for _, s := range list {
		about := s.PreviewURL
		if about == "" {
			about = oneLine(s.Reason, 80)
		}
		ends := "-"
		if !s.State.Ended() {
			ends = short(s.ExpiresAt.Sub(now))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, oneLine(s.ProjectName, 30), s.State, short(now.Sub(s.CreatedAt)), ends, about)
	}
	return w.Flush()
}

func (c *cli) printOne(s client.Sandbox) error {
	if c.format == "json" {
		return c.printJSON(s)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"id", s.ID}, {"name", s.ProjectName}, {"state", string(s.State)}, {"preview", s.PreviewURL}, {"reason", s.Reason},
		{"request", s.RequestID}, {"created", at(s.CreatedAt)}, {"ready", at(s.ReadyAt)}, {"last visitor", at(s.ActiveAt)},
		{"expires", at(s.ExpiresAt)}, {"ended", at(s.EndedAt)},
	} {
		if row[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if s.LogTail != "" {
		fmt.Fprintf(c.out, "\n%s\n", strings.TrimRight(s.LogTail, "\n"))
	}
	return nil
}

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// short writes a duration in its two largest units at most.
func short(d time.Duration) string {
	switch d = max(d, 0).Truncate(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
