package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/cmd/internal/cloudscheduler"
	"vibesdk-gcp/gateway/console"
)

// jobs is the schedule file and what Cloud Scheduler has of it. It implements [console.Schedules] and is safe for concurrent use.
type jobs struct {
	file    *timetable
	service *cloudscheduler.Service
	timeout time.Duration // of what a page waits for
	log     *slog.Logger
}

// List implements [console.Schedules].
func (j *jobs) List(ctx context.Context) (console.Timetable, error) {
	out := console.Timetable{Schedules: j.file.plan(), Pausable: true, About: "Cloud Scheduler fires them, from the same schedule file. What is paused here " +
		"stays so until it is resumed, or until Terraform is applied again."}
	asked, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	found, err := j.service.List(asked)
	if err != nil {
		if ctx.Err() == nil {
			j.log.WarnContext(ctx, "jobs of Cloud Scheduler were not listed", "error", err)
		}
		out.Pausable = false
		out.About = fmt.Sprintf("Cloud Scheduler fires them, from the same schedule file. It does not say now how they stand: %s.", reason(err))
		return out, nil
	}
	byName := map[string]*schedulerpb.Job{}
	for _, job := range found {
		name, _ := j.service.Short(job.GetName())
		byName[name] = job
	}
	drifts := map[string]cloudscheduler.Drift{}
	for _, d := range cloudscheduler.Compare(j.service.Naming, j.file.entries, found) {
		d.Fields = slices.DeleteFunc(d.Fields, heldBack)
		switch {
		case d.Kind == cloudscheduler.Stopped && d.State != schedulerpb.Job_UPDATE_FAILED.String():
		case d.Kind == cloudscheduler.Changed && len(d.Fields) == 0:
		default:
			drifts[d.Name] = d
		}
	}
	for i := range out.Schedules {
		s := &out.Schedules[i]
		standing(s, byName[s.Name])
		if d, differs := drifts[s.Name]; differs {
			s.Failure = differing(d)
		}
	}
	return out, nil
}

// heldBack reports a field that Cloud Scheduler does not show to accounts without cloudscheduler.jobs.fullView, which would open the
// requests of all jobs of the project. No job of ours has it empty.
func heldBack(f cloudscheduler.DriftField) bool {
	return f.Cloud == "" && (f.Field == "payload" || f.Field == "topic")
}

// standing fills in how a job stands.
func standing(s *console.Schedule, job *schedulerpb.Job) {
	s.Known = true
	s.Next = time.Time{}
	if next := job.GetScheduleTime(); next != nil {
		s.Next = next.AsTime()
	}
	if last := job.GetLastAttemptTime(); last != nil {
		s.Last = last.AsTime()
	}
	s.Paused = job.GetState() == schedulerpb.Job_PAUSED || job.GetState() == schedulerpb.Job_DISABLED
	if code := job.GetStatus().GetCode(); code != 0 {
		s.Failure = fmt.Sprintf("it could not publish: %s", codes.Code(uint32(code)))
	}
}

// differing says how a job is not what the file says, and what to do about it.
func differing(d cloudscheduler.Drift) string {
	switch d.Kind {
	case cloudscheduler.Missing:
		return "there is no job for it: apply Terraform, or vibectl schedules apply"
	case cloudscheduler.Foreign:
		return "the job of its name was not made from the schedule file"
	case cloudscheduler.Stopped:
		return "its last update failed: apply Terraform, or vibectl schedules apply"
	default:
		var fields []string
		for _, f := range d.Fields {
			fields = append(fields, f.Field)
		}
		return "its job differs from the schedule file in " + strings.Join(fields, ", ") + ": see vibectl schedules diff"
	}
}

// reason is why Cloud Scheduler did not do something, without what is nobody's business: names of projects and accounts.
func reason(err error) string {
	switch code := status.Code(err); {
	case errors.Is(err, cloudscheduler.ErrNotOurs):
		return "the job of its name was not made from the schedule file"
	case code == codes.PermissionDenied, code == codes.Unauthenticated:
		return "the account of this gateway may not do that, see infra/gcp/modules/schedule"
	case code == codes.DeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	case code == codes.NotFound:
		return "there is no such job: apply Terraform, or vibectl schedules apply"
	default:
		return code.String()
	}
}

// Pause implements [console.Schedules].
func (j *jobs) Pause(ctx context.Context, name string) error {
	return j.turn(ctx, name, schedulerpb.Job_PAUSED)
}

// Resume implements [console.Schedules].
func (j *jobs) Resume(ctx context.Context, name string) error {
	return j.turn(ctx, name, schedulerpb.Job_ENABLED)
}

func (j *jobs) turn(ctx context.Context, name string, to schedulerpb.Job_State) error {
	if !j.file.has(name) {
		return console.ErrNoSchedule
	}
	asked, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	err := j.service.Turn(asked, name, to)
	if err == nil {
		return nil
	}
	j.log.WarnContext(ctx, "a job of Cloud Scheduler was left as it is", "schedule", name, "wanted", to.String(), "error", err)
	return errors.New(reason(err))
}
