package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vibesdk-gcp/cmd/internal/cloudscheduler"
)

// jobLine is one of our jobs, for people and scripts.
type jobLine struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Cron     string `json:"cron"`
	TimeZone string `json:"timeZone"`
	Topic    string `json:"topic"`
	Payload  string `json:"payload"`
	Next     string `json:"next,omitempty"`
	Last     string `json:"last,omitempty"`
	Result   string `json:"result,omitempty"`
}

func (s *schedulesCLI) printJobs(n cloudscheduler.Naming, jobs []*schedulerpb.Job) error {
	lines := []jobLine{}
	for _, job := range jobs {
		if !n.Owns(job) {
			continue
		}
		short, _ := n.Short(job.GetName())
		line := jobLine{
			Name: short, State: strings.ToLower(job.GetState().String()), Cron: job.GetSchedule(), TimeZone: job.GetTimeZone(),
			Topic: job.GetPubsubTarget().GetTopicName(), Payload: string(job.GetPubsubTarget().GetData()),
			Next: stamp(job.GetScheduleTime()), Last: stamp(job.GetLastAttemptTime()),
		}
		if line.Last != "" {
			line.Result = codes.Code(uint32(job.GetStatus().GetCode())).String()
		}
		lines = append(lines, line)
	}
	if s.format == "json" {
		return s.printJSON(lines)
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(s.out, "no jobs; make them with vibectl schedules apply")
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tCRON\tTIME ZONE\tNEXT\tLAST\tRESULT")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Name, l.State, l.Cron, l.TimeZone, dash(l.Next), dash(l.Last), dash(l.Result))
	}
	return w.Flush()
}

func stamp(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (s *schedulesCLI) printDrift(drifts []cloudscheduler.Drift, entries int) error {
	if s.format == "json" {
		if drifts == nil {
			drifts = []cloudscheduler.Drift{}
		}
		return s.printJSON(drifts)
	}
	if len(drifts) == 0 {
		_, err := fmt.Fprintf(s.out, "%d jobs are as the file says\n", entries)
		return err
	}
	for _, d := range drifts {
		text := map[string]string{
			cloudscheduler.Missing: "there is no such job", cloudscheduler.Changed: "is not what the file says", cloudscheduler.Extra: "is not in the file any more",
			cloudscheduler.Foreign: "is there, and was not made from the file", cloudscheduler.Stopped: "is " + strings.ToLower(d.State),
		}[d.Kind]
		fmt.Fprintf(s.out, "%s: %s\n", d.Name, text)
		for _, f := range d.Fields {
			fmt.Fprintf(s.out, "  %s\n    - %s\n    + %s\n", f.Field, f.Cloud, f.File)
		}
	}
	return nil
}

func (s *schedulesCLI) printDone(results []done) error {
	if s.format == "json" {
		return s.printJSON(results)
	}
	if len(results) == 0 {
		_, err := fmt.Fprintln(s.out, "nothing to do")
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, r := range results {
		outcome := ""
		if r.Error != "" {
			outcome = " (failed)"
		}
		fmt.Fprintf(w, "%s\t%s%s\n", r.Name, r.Action, outcome)
	}
	return w.Flush()
}
