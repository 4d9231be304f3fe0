package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

// schedulesView is what happens by the clock.
type schedulesView struct {
	Timetable

	// Runs and Turns say what the person may do.
	Runs, Turns bool
}

func (v *visit) schedules() error {
	table, err := v.c.o.Schedules.List(v.r.Context())
	if err != nil {
		return err
	}
	view := schedulesView{Timetable: table, Runs: v.may(auth.Publish), Turns: v.may(auth.Admin) && table.Pausable}
	return v.showAs(http.StatusOK, "schedules", shell{Section: "/schedules", Title: "Schedules", Every: 10, Data: view})
}

// runSchedule publishes what a schedule would, by the API.
func (v *visit) runSchedule() error {
	table, err := v.c.o.Schedules.List(v.r.Context())
	if err != nil {
		return err
	}
	list := table.Schedules
	i := slices.IndexFunc(list, func(s Schedule) bool { return s.Name == v.r.PathValue("name") })
	if i < 0 {
		return noSchedule()
	}
	if _, err := v.api.Publish(v.r.Context(), list[i].Topic, client.Message{Data: []byte(list[i].Payload)}); err != nil {
		return err
	}
	return v.done("published", "schedules")
}

// turnSchedule pauses or resumes a schedule, as the path says.
func (v *visit) turnSchedule() error {
	turn, notice := v.c.o.Schedules.Pause, "paused"
	if strings.HasSuffix(v.r.URL.Path, "/resume") {
		turn, notice = v.c.o.Schedules.Resume, "resumed"
	}
	switch err := turn(v.r.Context(), v.r.PathValue("name")); {
	case errors.Is(err, ErrNoSchedule):
		return noSchedule()
	case err != nil:
		return &pageError{http.StatusConflict, "The schedule was left as it is", err.Error()}
	}
	return v.done(notice, "schedules")
}

func noSchedule() error {
	return &pageError{http.StatusNotFound, "There is no such schedule", ""}
}
