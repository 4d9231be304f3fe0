package cloudscheduler_test

import (
	"errors"
	"testing"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"

	"vibesdk-gcp/cmd/internal/cloudscheduler"
	"vibesdk-gcp/internal/schedule"
	"vibesdk-gcp/internal/testenv/schedulerfake"
)

// The commands of vibectl and the console test the rest, through what they do.

// TestSettleMeetsWhatCameMeanwhile: between listing and changing, jobs are made, removed, and taken over by somebody else.
func TestSettleMeetsWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	fake := schedulerfake.Start(t)
	entries, err := schedule.Load([]byte(`schedules:
- {name: a, description: about a, cron: "* * * * *", timeZone: Etc/UTC, topic: cleanup-ticks, payload: '{"kind":"DUE_JOBS"}'}
`))
	if err != nil {
		t.Fatal(err)
	}
	n := cloudscheduler.Naming{Project: "p", Location: "europe-west1", Prefix: "vibesdk-", TopicPrefix: "vibesdk-"}
	cloud, err := cloudscheduler.Open(t.Context(), n, fake.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	settle := func(d cloudscheduler.Drift) error { return cloud.Settle(t.Context(), d, false) }
	as := func(what string) {
		t.Helper()
		jobs, err := cloud.List(t.Context())
		if drifts := cloudscheduler.Compare(n, entries, jobs); err != nil || len(drifts) > 0 {
			t.Errorf("%s: %+v, %v", what, drifts, err)
		}
	}

	missing := cloudscheduler.Compare(n, entries, nil)[0]
	if err := errors.Join(settle(missing), settle(missing)); err != nil {
		t.Errorf("made twice: %v", err)
	}
	as("made twice")
	fake.Change(n.Job("a"), func(j *schedulerpb.Job) { j.Schedule = "0 0 1 1 *" })
	if err := settle(missing); err != nil {
		t.Errorf("ours, and another: %v", err)
	}
	as("ours, and another")
	fake.Remove(n.Job("a"))
	if err := settle(cloudscheduler.Drift{Name: "a", Kind: cloudscheduler.Changed, Want: n.Want(entries[0])}); err != nil {
		t.Errorf("removed before it was changed: %v", err)
	}
	as("removed before it was changed")
	if err := errors.Join(cloud.Turn(t.Context(), "a", schedulerpb.Job_PAUSED), cloud.Turn(t.Context(), "a", schedulerpb.Job_PAUSED)); err != nil ||
		fake.Jobs()[n.Job("a")].GetState() != schedulerpb.Job_PAUSED {
		t.Errorf("paused twice: %v", err)
	}

	fake.Change(n.Job("a"), func(j *schedulerpb.Job) { j.Description = "made by hand" })
	for what, err := range map[string]error{
		"made": settle(missing), "paused": cloud.Turn(t.Context(), "a", schedulerpb.Job_ENABLED),
		"removed": settle(cloudscheduler.Drift{Name: "a", Kind: cloudscheduler.Extra, Have: n.Want(entries[0])}), // it was ours when it was listed
	} {
		if !errors.Is(err, cloudscheduler.ErrNotOurs) {
			t.Errorf("somebody else's was %s: %v", what, err)
		}
	}
	if job := fake.Jobs()[n.Job("a")]; job.GetDescription() != "made by hand" || job.GetState() != schedulerpb.Job_PAUSED {
		t.Errorf("somebody else's is %v", job)
	}
}
