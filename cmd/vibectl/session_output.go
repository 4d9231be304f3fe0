package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"vibesdk-gcp/gateway/client"
)

func (c *cli) printSessions(list []client.Session, now time.Time) error {
	if c.format == "json" {
		return c.printJSON(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "no sessions")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tVERSION\tAGE\tCHANGED\tNEXT JOB IN\tENDS IN")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s ago\t%s\t%s\n", s.ID, s.Version, short(now.Sub(s.CreatedAt)), short(now.Sub(s.UpdatedAt)), until(s.AlarmAt, now), until(s.ExpiresAt, now))
	}
	return w.Flush()
}

func until(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return short(t.Sub(now))
}

func (c *cli) printSession(s client.SessionDetail) error {
	if c.format == "json" {
		return c.printJSON(s)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"id", s.ID}, {"version", strconv.FormatInt(s.Version, 10)}, {"initialized", strconv.FormatBool(s.Initialized)},
		{"created", at(s.CreatedAt)}, {"changed", at(s.UpdatedAt)}, {"expires", at(s.ExpiresAt)}, {"next job", at(s.AlarmAt)},
		{"schedules", count(s.Schedules)}, {"queued", count(s.Queued)}, {"parked", count(s.Parked)},
	} {
		if row[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	}
	for _, part := range s.Parts {
		fmt.Fprintf(w, "%s\t%d bytes\n", part.Name, part.Size)
	}
	return w.Flush()
}

// count is empty for none, which printSession then leaves out.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (c *cli) printResult(id string, r client.MutationResult) error {
	if c.format == "json" {
		return c.printJSON(r)
	}
	text := fmt.Sprintf("%s is at version %d", id, r.Version)
	if r.Code == client.Pending {
		text = "mutation " + r.MutationID + " is on its way"
	}
	if r.Ref != "" {
		text += ", " + r.Ref
	}
	if r.Duplicate {
		text += " (this write was made before)"
	}
	_, err := fmt.Fprintln(c.out, text)
	return err
}

func (c *cli) printEvent(e client.SessionEvent) error {
	if c.format == "json" {
		return json.NewEncoder(c.out).Encode(e)
	}
	text := oneLine(string(e.State), 200)
	if !e.Present {
		text = "destroyed"
	}
	_, err := fmt.Fprintf(c.out, "%s  version %d  %s\n", at(e.UpdatedAt), e.Version, text)
	return err
}

func (c *cli) printHistory(entries []client.HistoryEntry) error {
	if c.format == "json" {
		return c.printJSON(entries)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tKIND\tOUTCOME\tVERSION\tABOUT")
	for _, e := range entries {
		about := e.Ref
		if e.Reason != "" {
			about = oneLine(e.Reason, 100)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", at(e.At), e.Kind, e.Code, e.Version, about)
	}
	return w.Flush()
}

func (c *cli) printJobs(jobs []client.Job, none string, now time.Time) error {
	if c.format == "json" {
		if jobs == nil {
			jobs = []client.Job{}
		}
		return c.printJSON(jobs)
	}
	if len(jobs) == 0 {
		_, err := fmt.Fprintln(c.out, none)
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTYPE\tCALLBACK\tDUE IN\tATTEMPT\tSTATE")
	for _, j := range jobs {
		state := "waits"
		switch {
		case j.Parked:
			state = "parked: " + oneLine(j.LastError, 80)
		case j.RunningUntil.After(now):
			state = "runs"
		case j.LastError != "":
			state = "retries: " + oneLine(j.LastError, 80)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", j.ID, kindOf(j), oneLine(j.Callback, 40), until(j.Due, now), j.Attempt+1, state)
	}
	return w.Flush()
}

// kindOf is a job's type with what it was made with, where it comes again.
func kindOf(j client.Job) string {
	switch {
	case j.Cron != "":
		return "cron " + j.Cron
	case j.IntervalSeconds > 0:
		return "every " + time.Duration(j.IntervalSeconds*float64(time.Second)).String()
	default:
		return j.Type
	}
}
