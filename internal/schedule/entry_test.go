package schedule_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vibesdk-gcp/internal/schedule"
)

const good = `
schedules:
  - name: nightly
    description: Count the sheep
    cron: "30 2 * * *"
    timeZone: Europe/Berlin
    topic: sheep
    payload: '{"kind":"COUNT"}'
  - {name: often, cron: "*/5 * * * *", timeZone: Etc/UTC, topic: sheep, payload: "{}"}
`

func TestLoad(t *testing.T) {
	t.Parallel()
	got, err := schedule.Load([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := []schedule.Entry{
		{
			Name: "nightly", Description: "Count the sheep", Cron: "30 2 * * *", TimeZone: "Europe/Berlin",
			Topic: "sheep", Payload: `{"kind":"COUNT"}`,
		},
		{Name: "often", Cron: "*/5 * * * *", TimeZone: "Etc/UTC", Topic: "sheep", Payload: "{}"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(schedule.Entry{})); diff != "" {
		t.Error(diff)
	}
}

func TestLoadReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := schedule.Load([]byte(`
schedules:
  - {name: a, cron: "* * * * *", timeZone: Etc/UTC, topic: t, payload: "{}"}
  - {name: a, cron: "61 * * * *", timeZone: Mars/Olympus, topic: t, payload: "{}"}
  - {name: Shout, cron: "@hourly", timeZone: Local, payload: "{"}
  - {name: never, cron: "0 0 30 2 *", timeZone: Etc/UTC, topic: t, payload: "{}"}
  - {name: extra, cron: "* * * * *", timeZone: Etc/UTC, topic: t, payload: "{}", colour: red}
  - just a word
`))
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		`schedules[1] "a": `, "name is that of schedules[0] as well", `cron "61 * * * *"`, `timeZone "Mars/Olympus"`,
		`schedules[2] "Shout": name must be`, "topic is empty", "payload is not JSON", `cron "@hourly"`, `timeZone "Local"`,
		`schedules[3] "never": cron "0 0 30 2 *" is never due`,
		`unknown field "colour"`,
		"schedules[5]",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error does not say %q:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), "schedules[0] \"") {
		t.Errorf("error names the entry that is right:\n%v", err)
	}
}

func TestLoadRefusesFilesWithoutJobs(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"", "schedules: []", "schedules: 3", "jobs: []", "schedules: [", good + "\nschedules: []\n"} {
		if _, err := schedule.Load([]byte(file)); err == nil || !strings.HasPrefix(err.Error(), "schedule file: ") {
			t.Errorf("Load(%q): %v", file, err)
		}
	}
}

// FuzzLoad proves that no file panics and that what loads has a next time.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("schedules: [{name: a, cron: '0 0 29 2 *', timeZone: Etc/UTC, topic: t, payload: '1'}]"))
	f.Add([]byte("schedules:\n- &a {name: a}\n- *a"))
	f.Fuzz(func(t *testing.T, file []byte) {
		entries, err := schedule.Load(file)
		if err != nil {
			return
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, e := range entries {
			if next := e.Next(now); !next.After(now) {
				t.Errorf("entry %q: next time %s is not after %s", e.Name, next, now)
			}
		}
	})
}

func TestNextFollowsTheTimeZone(t *testing.T) {
	t.Parallel()
	entries, err := schedule.Load([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	for now, want := range map[string]string{
		"2026-01-10T00:00:00Z": "2026-01-10T01:30:00Z", // winter: UTC+1
		"2026-07-10T00:00:00Z": "2026-07-10T00:30:00Z", // summer: UTC+2
		"2026-07-10T00:30:00Z": "2026-07-11T00:30:00Z", // due now is not after now
		// On 2026-03-29 the clocks go from 02:00 to 03:00 and 02:30 does not exist.
		"2026-03-29T00:00:00Z": "2026-03-30T00:30:00Z",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := entries[0].Next(at).UTC().Format(time.RFC3339); got != want {
			t.Errorf("Next(%s) = %s, want %s", now, got, want)
		}
	}
}

// TestTheShippedFileLoads guards infra/schedules.yaml.
func TestTheShippedFileLoads(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../infra/schedules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := schedule.Load(file); err != nil {
		t.Error(err)
	}
}
