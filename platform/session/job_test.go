package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// desk applies job mutations one after another, each as a batch of its own.
type desk struct {
	*testing.T
	r   *Record
	now time.Time
	n   int
}

func newDesk(t *testing.T) *desk {
	return &desk{T: t, r: nothing(), now: time.Date(2026, 3, 4, 5, 6, 7, 250_000_000, time.UTC)}
}

func (d *desk) try(kind Kind, payload any) (string, error) {
	d.Helper()
	text, ok := payload.(string)
	if !ok {
		data, err := json.Marshal(payload)
		if err != nil {
			d.Fatal(err)
		}
		text = string(data)
	}
	d.n++
	f := fold(d.r, d.now)
	ref, err := f.apply(Mutation{ID: fmt.Sprint("m", d.n), Kind: kind, Payload: []byte(text)}, nil)
	before := d.r
	d.r = f.result()
	if err != nil {
		unchanged(d.T, before, d.r)
		return ref, err
	}
	d.invariants()
	return ref, nil
}

func (d *desk) do(kind Kind, payload any) string {
	d.Helper()
	ref, err := d.try(kind, payload)
	if err != nil {
		d.Fatalf("%d %s: %v", kind, payload, err)
	}
	return ref
}

// invariants hold for each record: the alarm is the first of what is ever ready.
func (d *desk) invariants() {
	d.Helper()
	ready, err := d.r.Ready(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))
	if err != nil {
		d.Fatal(err)
	}
	var first time.Time
	if len(ready) > 0 {
		first = ready[0].ReadyAt()
	}
	if !d.r.AlarmAt.Equal(first) {
		d.Errorf("the alarm is at %s, the first run at %s", d.r.AlarmAt, first)
	}
	if _, ok := d.r.Parts[PartJobs]; !ok && len(ready) > 0 || ok && string(d.r.Parts[PartJobs].Data) == "[]" {
		d.Error("the jobs part is there without jobs, or the other way round")
	}
}

func (d *desk) job(id string) Job {
	d.Helper()
	j, err := d.r.Job(id)
	if err != nil {
		d.Fatal(err)
	}
	return j
}

// ids are the jobs that are ready now.
func (d *desk) ids() string {
	d.Helper()
	jobs, err := d.r.Ready(d.now)
	if err != nil {
		d.Fatal(err)
	}
	out := []string{}
	for _, j := range jobs {
		out = append(out, j.ID)
	}
	return strings.Join(out, " ")
}

// run claims and finishes the present run of a job.
func (d *desk) run(id, failure string) string {
	d.Helper()
	j := d.job(id)
	d.do(StartJob, StartRequest{ID: id, Run: j.Run, Holder: "h", Until: d.now.Add(time.Minute)})
	return d.do(FinishJob, FinishRequest{ID: id, Run: j.Run, Holder: "h", Error: failure})
}

func TestScheduleDue(t *testing.T) {
	for payload, want := range map[string]struct {
		jobType JobType
		due     string
	}{
		`{"callback":"c","delaySeconds":1.5}`:                       {JobDelayed, "05:06:08.75"},
		`{"callback":"c","delaySeconds":0.0000014}`:                 {JobDelayed, "05:06:07.250001"},
		`{"callback":"c","delaySeconds":0}`:                         {JobDelayed, "05:06:07.25"},
		`{"callback":"c","delaySeconds":-5}`:                        {JobDelayed, "05:06:02.25"},
		`{"callback":"c","at":"2026-03-04T07:00:00.1234567+01:00"}`: {JobScheduled, "06:00:00.123456"},
		`{"callback":"c","at":"2020-03-04T07:00:00Z"}`:              {JobScheduled, "07:00:00"},
		`{"callback":"c","cron":"0 6 * * *"}`:                       {JobCron, "06:00:00"},
		`{"callback":"c","cron":"*/5 * * * * *"}`:                   {JobCron, "05:06:10"},
		`{"callback":"c","intervalSeconds":7200}`:                   {JobInterval, "07:06:07.25"},
		`{"callback":"c","intervalSeconds":1e-9}`:                   {JobInterval, "05:06:07.251"},
	} {
		d := newDesk(t)
		j := d.job(d.do(Schedule, payload))
		if got := j.Due.Format("15:04:05.999999"); j.Type != want.jobType || got != want.due {
			t.Errorf("%s: %s at %s, want %s at %s", payload, j.Type, got, want.jobType, want.due)
		}
		if !j.CreatedAt.Equal(d.now) || j.Run != 1 || !d.r.Present || d.r.Initialized {
			t.Errorf("%s: %+v in %+v", payload, j, d.r.Head)
		}
	}
}

// TestCronNext: strictly after, in UTC, also at the turn of a year.
func TestCronNext(t *testing.T) {
	at := time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)
	for cron, want := range map[string]string{
		"59 23 31 12 *": "2027-12-31T23:59:00Z", "0 0 1 1 *": "2027-01-01T00:00:00Z", "* * * * *": "2027-01-01T00:00:00Z",
		"30 59 23 * * *": "2026-12-31T23:59:30Z", "0 0 29 2 *": "2028-02-29T00:00:00Z", "0 12 * * mon": "2027-01-04T12:00:00Z",
	} {
		if got := (Job{Type: JobCron, Cron: cron}).next(at.In(time.FixedZone("", 3600))).Format(time.RFC3339); got != want {
			t.Errorf("%s: %s, want %s", cron, got, want)
		}
	}
}

func TestRequestsRejected(t *testing.T) {
	long := strings.Repeat("x", MaxCallback+1)
	for _, c := range []struct {
		kind    Kind
		payload string
		err     error
		want    string
	}{
		{Schedule, `{"callback":"c"}`, ErrInvalid, "exactly one of delaySeconds, at, cron and intervalSeconds"},
		{Schedule, `{"callback":"c","delaySeconds":1,"cron":"* * * * *"}`, ErrInvalid, "exactly one"},
		{Schedule, `{"delaySeconds":1}`, ErrInvalid, "callback must be 1 to 256 bytes"},
		{Schedule, `{"callback":"` + long + `","delaySeconds":1}`, ErrInvalid, "callback must be 1 to 256 bytes"},
		{Schedule, `{"callback":"a\u0000","delaySeconds":1}`, ErrInvalid, "callback must be"},
		{Schedule, `{"id":"` + strings.Repeat("x", MaxID+1) + `","callback":"c","delaySeconds":1}`, ErrInvalid, "id must be 1 to 128 bytes"},
		{Schedule, `{"id":"cf:destroy","callback":"c","delaySeconds":1}`, ErrInvalid, "reserved"},
		{Schedule, `{"callback":"c","delaySeconds":315360001}`, ErrInvalid, "delaySeconds must be at most 315360000"},
		{Schedule, `{"callback":"c","delaySeconds":-1e300}`, ErrInvalid, "delaySeconds must be"},
		{Schedule, `{"callback":"c","delaySeconds":1e999}`, ErrInvalid, "delaySeconds has the wrong type"},
		{Schedule, `{"callback":"c","delaySeconds":"secret"}`, ErrInvalid, "delaySeconds has the wrong type"},
		{Schedule, `{"callback":"c","at":"secret"}`, ErrInvalid, "a time is not in RFC 3339"},
		{Schedule, `{"callback":"c","at":"1969-12-31T23:59:59Z"}`, ErrInvalid, "due must be from 1970"},
		{Schedule, `{"callback":"c","cron":"* * * *"}`, ErrInvalid, "Invalid cron expression: expected 5 or 6 elements."},
		{Schedule, `{"callback":"c","cron":"61 * * * *"}`, ErrInvalid, "Invalid cron expression"},
		{Schedule, `{"callback":"c","cron":"@every 1s"}`, ErrInvalid, "Invalid cron expression"},
		{Schedule, `{"callback":"c","cron":"TZ=Asia/Tokyo * * * * *"}`, ErrInvalid, "Invalid cron expression"},
		{Schedule, `{"callback":"c","cron":"TZ= * * * *"}`, ErrInvalid, "Invalid cron expression"},
		{Schedule, `{"callback":"c","cron":"0 0 30 2 *"}`, ErrInvalid, "never due"},
		{Schedule, `{"callback":"c","cron":"* * * * ` + strings.Repeat("1,", 200) + `1"}`, ErrInvalid, "cron is longer"},
		{Schedule, `{"callback":"c","intervalSeconds":0}`, ErrInvalid, "intervalSeconds must be a positive number"},
		{Schedule, `{"callback":"c","intervalSeconds":2592001}`, ErrInvalid, "intervalSeconds cannot exceed 2592000 seconds (30 days)"},
		{Schedule, `{"callback":"c","delaySeconds":1,"retry":{"maxAttempts":0}}`, ErrInvalid, "retry.maxAttempts must be >= 1"},
		{Schedule, `{"callback":"c","delaySeconds":1,"retry":{"maxAttempts":-1}}`, ErrInvalid, "retry.maxAttempts must be >= 1"},
		{Schedule, `{"callback":"c","delaySeconds":1,"retry":{"maxAttempts":1001}}`, ErrInvalid, "retry.maxAttempts must be <= 1000"},
		{Schedule, `{"callback":"c","delaySeconds":1,"retry":{"baseDelayMs":-1}}`, ErrInvalid, "retry.baseDelayMs"},
		{Schedule, `{"callback":"c","delaySeconds":1,"retry":{"maxDelayMs":86400001}}`, ErrInvalid, "retry.maxDelayMs"},
		{Schedule, `{"callback":"c","delaySeconds":1,"retry":{"baseDelayMs":4000}}`, ErrInvalid, "retry.baseDelayMs must be <= retry.maxDelayMs"},
		{Schedule, `{"callback":"c","delaySecond":1}`, ErrInvalid, `unknown field "delaySecond"`},
		{Schedule, `[]`, ErrInvalid, "payload is not an object"},
		{Schedule, `{"callback":"c","delaySeconds":1,"payload":"` + strings.Repeat("x", MaxJobPayload) + `"}`, ErrTooLarge, "payload of the job is"},
		{Schedule, `{"id":"queued","callback":"c","delaySeconds":1}`, ErrInvalid, "id is that of an item of the queue"},
		{Enqueue, `{"callback":""}`, ErrInvalid, "callback must be"},
		{Enqueue, `{"callback":"c","retry":{"maxAttempts":0}}`, ErrInvalid, "retry.maxAttempts must be >= 1"},
		{Enqueue, `{"id":"scheduled","callback":"c"}`, ErrInvalid, "id is that of a schedule"},
		{Cancel, `{"id":"none"}`, ErrNotFound, "no such schedule"},
		{Cancel, `{"id":"queued"}`, ErrNotFound, "no such schedule"},
		{Dequeue, `{}`, ErrInvalid, "exactly one of id, callback and all"},
		{Dequeue, `{"id":"a","all":true}`, ErrInvalid, "exactly one of id, callback and all"},
		{StartJob, `{"id":"queued","run":1,"until":"2026-03-04T05:07:00Z"}`, ErrInvalid, "holder must be"},
		{StartJob, `{"id":"queued","run":1,"holder":"h","until":"2026-03-04T05:06:07.25Z"}`, ErrInvalid, "until must be in the future"},
		{StartJob, `{"id":"queued","run":1,"holder":"h","until":"2026-03-05T05:06:08Z"}`, ErrInvalid, "at most 24h"},
		{StartJob, `{"id":"none","run":1,"holder":"h","until":"2026-03-04T05:07:00Z"}`, ErrNotFound, "no such job"},
		{StartJob, `{"id":"queued","run":2,"holder":"h","until":"2026-03-04T05:07:00Z"}`, ErrConflict, "run is 1, not 2"},
		{FinishJob, `{"id":"queued","run":1}`, ErrInvalid, "holder must be"},
	} {
		d := newDesk(t)
		d.do(Enqueue, `{"id":"queued","callback":"c"}`)
		d.do(Schedule, `{"id":"scheduled","callback":"c","delaySeconds":60}`)
		if _, err := d.try(c.kind, c.payload); !errors.Is(err, c.err) || !strings.Contains(fmt.Sprint(err), c.want) || strings.Contains(err.Error(), "secret") || len(err.Error()) > 300 {
			t.Errorf("%.100s: %v, want %v: %s", c.payload, err, c.err, c.want)
		}
	}
}

// TestIdempotentSchedules: cron and interval are found again unless told otherwise, the others only when told so.
func TestIdempotentSchedules(t *testing.T) {
	for _, c := range []struct {
		first, second string
		same          bool
	}{
		{`{"callback":"c","cron":"* * * * *","payload":{"a": 1}}`, `{"callback":"c","cron":"* * * * *","payload":{ "a":1}}`, true},
		{`{"callback":"c","cron":"* * * * *"}`, `{"callback":"c","cron":"* * * * *","idempotent":false}`, false},
		{`{"callback":"c","cron":"* * * * *"}`, `{"callback":"d","cron":"* * * * *"}`, false},
		{`{"callback":"c","cron":"* * * * *"}`, `{"callback":"c","cron":"*/2 * * * *"}`, false},
		{`{"callback":"c","cron":"* * * * *","payload":1}`, `{"callback":"c","cron":"* * * * *","payload":2}`, false},
		{`{"callback":"c","cron":"* * * * *"}`, `{"callback":"c","cron":"* * * * *","payload":null}`, false},
		{`{"callback":"c","intervalSeconds":60}`, `{"callback":"c","intervalSeconds":6e1}`, true},
		{`{"callback":"c","intervalSeconds":60}`, `{"callback":"c","intervalSeconds":61}`, false},
		{`{"callback":"c","delaySeconds":60}`, `{"callback":"c","delaySeconds":60}`, false},
		{`{"callback":"c","delaySeconds":60}`, `{"callback":"c","delaySeconds":90,"idempotent":true}`, true},
		{`{"callback":"c","at":"2027-01-01T00:00:00Z"}`, `{"callback":"c","at":"2028-01-01T00:00:00Z","idempotent":true}`, true},
		{`{"callback":"c","delaySeconds":60}`, `{"callback":"c","at":"2028-01-01T00:00:00Z","idempotent":true}`, false},
	} {
		d := newDesk(t)
		one := d.do(Schedule, c.first)
		due := d.job(one).Due
		d.now = d.now.Add(time.Second)
		two := d.do(Schedule, c.second)
		if (one == two) != c.same {
			t.Errorf("%s and %s: same is %v", c.first, c.second, one == two)
		}
		if c.same && !d.job(one).Due.Equal(due) {
			t.Errorf("%s: the time of what was found has changed", c.second)
		}
	}
}

func TestIDs(t *testing.T) {
	d := newDesk(t)
	first := d.do(Enqueue, `{"callback":"c"}`)
	d.n--
	if again := d.do(Enqueue, `{"callback":"c"}`); again != first {
		t.Errorf("the same mutation derived %q and %q", first, again)
	}
	if jobs, err := d.r.Jobs(); err != nil || len(jobs) != 1 {
		t.Errorf("%v, %v", jobs, err)
	}
	if other := d.do(Enqueue, `{"callback":"c"}`); other == first {
		t.Error("two mutations derived one id")
	}
	// A schedule with the id of another replaces it, and its runs are others.
	d.do(Schedule, `{"id":"x","callback":"c","delaySeconds":5}`)
	d.do(StartJob, StartRequest{ID: "x", Run: 1, Holder: "h", Until: d.now.Add(time.Hour)})
	d.do(Schedule, `{"id":"x","callback":"d","cron":"0 0 * * *"}`)
	if j := d.job("x"); j.Type != JobCron || j.Callback != "d" || j.Run != 2 || j.Holder != "" {
		t.Errorf("%+v", j)
	}
	if ref := d.do(FinishJob, FinishRequest{ID: "x", Run: 1, Holder: "h"}); ref != FinishDropped {
		t.Error(ref)
	}
	d.do(Cancel, `{"id":"x"}`)
	if _, err := d.try(Cancel, `{"id":"x"}`); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// TestRenewedInPlace: what is given again under its id is another run in the old place.
func TestRenewedInPlace(t *testing.T) {
	d := newDesk(t)
	// In the stored text the second looks as the first one is.
	d.do(Enqueue, `{"id":"r","callback":"a\\\\b"}`)
	d.do(Enqueue, `{"id":"q","callback":"a\\b"}`)
	made := d.now
	if one, two := d.job("q").Callback, d.job("r").Callback; one != `a\b` || two != `a\\b` {
		t.Errorf("callbacks are %s and %s", one, two)
	}
	if ref := d.do(Dequeue, `{"callback":"a\\b"}`); ref != "1" {
		t.Errorf("callbacks that look alike: %s removed", ref)
	}
	d.now = d.now.Add(time.Hour)
	d.do(Enqueue, `{"id":"r","callback":"c"}`)
	if j := d.job("r"); !j.CreatedAt.Equal(made) || !j.Due.Equal(made) || j.Run != 2 {
		t.Errorf("%+v", j)
	}
	// The same mutation again, long after: the schedule that it made stays as it is.
	d.n = 100
	id := d.do(Schedule, `{"callback":"c","delaySeconds":60}`)
	due := d.job(id).Due
	d.n, d.now = 100, d.now.Add(time.Hour)
	if again := d.do(Schedule, `{"callback":"c","delaySeconds":60}`); again != id || !d.job(id).Due.Equal(due) {
		t.Errorf("%s became %s, due %s became %s", id, again, due, d.job(id).Due)
	}
}

// TestLateFinish: the end of an earlier run is not that of the present one, also when the same holder has it.
func TestLateFinish(t *testing.T) {
	d := newDesk(t)
	d.do(Enqueue, `{"id":"q","callback":"c"}`)
	if ref := d.run("q", "x"); ref != FinishRetry {
		t.Fatal(ref)
	}
	d.do(StartJob, StartRequest{ID: "q", Run: 2, Holder: "h", Until: d.now.Add(time.Minute)})
	if ref := d.do(FinishJob, FinishRequest{ID: "q", Run: 1, Holder: "h"}); ref != FinishDropped {
		t.Error(ref)
	}
	if d.job("q").Holder != "h" {
		t.Error("the claim is gone")
	}
}

// TestMissedOnce: occurrences that passed while a cron job waited for another attempt are missed too; an interval counts once,
// however often its run is claimed.
func TestMissedOnce(t *testing.T) {
	d := newDesk(t)
	d.do(Schedule, `{"id":"c","callback":"c","cron":"* * * * * *","retry":{"maxAttempts":2,"baseDelayMs":60000,"maxDelayMs":60000}}`)
	first := d.job("c").Due
	d.now = first
	d.run("c", "x")
	d.now = d.job("c").Due
	d.run("c", "")
	want := int64(d.job("c").Due.Sub(first)/time.Second) - 1
	if got := d.job("c").Missed; got != want || want < 1 {
		t.Errorf("missed %d, want %d", got, want)
	}
	d.do(Schedule, `{"id":"i","callback":"i","intervalSeconds":10}`)
	d.now = d.now.Add(time.Minute)
	for _, holder := range []string{"one", "two"} {
		d.do(StartJob, StartRequest{ID: "i", Run: 1, Holder: holder, Until: d.now.Add(time.Second)})
		d.now = d.now.Add(time.Hour)
	}
	if got := d.job("i").Missed; got != 5 {
		t.Errorf("missed %d", got)
	}
}

// TestJobListRollback: each change of the list can be taken back, in the middle of others.
func TestJobListRollback(t *testing.T) {
	entry := func(id, callback string) *jobEntry {
		e, err := newEntry(Job{ID: id, Type: JobQueue, Callback: callback, Due: foldTime, CreatedAt: foldTime, Run: 1})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	l := &jobList{byID: map[string]*jobEntry{}}
	for _, id := range []string{"a", "b", "c"} {
		if err := l.add(entry(id, "x")); err != nil {
			t.Fatal(err)
		}
	}
	l.Commit()
	before, n := string(l.Bytes()), l.Len()
	l.replace(entry("b", "longer"))
	l.remove(func(e *jobEntry) bool { return e.id != "c" })
	if err := l.add(entry("d", "x")); err != nil {
		t.Fatal(err)
	}
	if got := len(l.Bytes()); got != l.Len() {
		t.Errorf("%d bytes, Len is %d", got, l.Len())
	}
	l.Rollback()
	if got := string(l.Bytes()); got != before || l.Len() != n || len(l.byID) != 3 || l.byID["b"].callback != "x" {
		t.Errorf("got  %s\nwant %s", got, before)
	}
}

// TestQueue: one at a time and in order; what failed for good is kept and no longer in the way.
func TestQueue(t *testing.T) {
	d := newDesk(t)
	for i := range 4 {
		d.do(Enqueue, fmt.Sprintf(`{"id":"q%d","callback":"work","payload":{"n":%d.0}}`, i, i))
		// A clock that is set back changes no order.
		d.now = d.now.Add(-time.Microsecond)
	}
	d.now = d.now.Add(time.Second)
	if got := d.ids(); got != "q0" {
		t.Errorf("ready are %s", got)
	}
	if string(d.job("q3").Payload) != `{"n":3.0}` {
		t.Errorf("payload is %s", d.job("q3").Payload)
	}
	claim := StartRequest{ID: "q1", Run: 1, Holder: "h", Until: d.now.Add(time.Minute)}
	if _, err := d.try(StartJob, claim); !errors.Is(err, ErrConflict) {
		t.Errorf("the second was claimed before the first: %v", err)
	}
	claim.ID = "q0"
	d.do(StartJob, claim)
	if got := d.ids(); got != "" {
		t.Errorf("while the first runs, ready are %s", got)
	}
	other := claim
	other.Holder = "other"
	if _, err := d.try(StartJob, other); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "claimed until") {
		t.Errorf("two claims: %v", err)
	}
	claim.Until = claim.Until.Add(time.Minute)
	d.do(StartJob, claim)
	if got := d.job("q0").HeldUntil; !got.Equal(claim.Until) || !d.r.AlarmAt.Equal(got) {
		t.Errorf("a prolonged claim ends at %s", got)
	}
	d.now = claim.Until
	if got := d.ids(); got != "q0" {
		t.Errorf("after the claim, ready are %s", got)
	}
	other.Until = d.now.Add(time.Minute)
	d.do(StartJob, other)
	if ref := d.do(FinishJob, FinishRequest{ID: "q0", Run: 1, Holder: "h"}); ref != FinishDropped {
		t.Errorf("the old holder finished: %s", ref)
	}
	if ref := d.do(FinishJob, FinishRequest{ID: "q0", Run: 1, Holder: "other"}); ref != FinishDone {
		t.Error(ref)
	}
	if ref := d.do(FinishJob, FinishRequest{ID: "q0", Run: 1, Holder: "other"}); ref != FinishDropped {
		t.Errorf("finished twice: %s", ref)
	}

	// q1 fails three times: it is in the way until then.
	for attempt := 1; attempt <= 3; attempt++ {
		if got := d.ids(); got != "q1" {
			t.Fatalf("attempt %d: ready are %q", attempt, got)
		}
		want := FinishRetry
		if attempt == 3 {
			want = FinishParked
		}
		before := d.job("q1")
		if ref := d.run("q1", "broken é"+strings.Repeat("x", MaxJobError)); ref != want {
			t.Errorf("attempt %d: %s", attempt, ref)
		}
		j := d.job("q1")
		if j.Attempt != attempt || !strings.HasPrefix(j.LastError, "broken") || len(j.LastError) > MaxJobError+3 {
			t.Errorf("%+v", j)
		}
		if want == FinishRetry {
			wait := j.Due.Sub(d.now)
			if wait < 0 || wait > time.Duration(100<<attempt)*time.Millisecond || j.Run != before.Run+1 {
				t.Errorf("attempt %d: again in %s as run %d", attempt, wait, j.Run)
			}
			if wait > 0 && d.ids() != "" {
				t.Errorf("while the first waits, ready are %s", d.ids())
			}
			d.now = j.Due
		}
	}
	if !d.job("q1").Parked || d.ids() != "q2" {
		t.Errorf("after parking, ready are %s", d.ids())
	}
	if _, err := d.try(StartJob, StartRequest{ID: "q1", Run: d.job("q1").Run, Holder: "h", Until: d.now.Add(time.Minute)}); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "parked") {
		t.Errorf("a parked item was claimed: %v", err)
	}
	// A failure that no retry mends.
	d.do(StartJob, StartRequest{ID: "q2", Run: 1, Holder: "h", Until: d.now.Add(time.Minute)})
	if ref := d.do(FinishJob, FinishRequest{ID: "q2", Run: 1, Holder: "h", Permanent: true}); ref != FinishParked {
		t.Error(ref)
	}
	// Given again it is back in its place, before q3.
	d.do(Enqueue, `{"id":"q1","callback":"again"}`)
	if j := d.job("q1"); d.ids() != "q1" || j.Parked || j.Attempt != 0 || j.LastError != "" || j.Callback != "again" || j.Payload != nil {
		t.Errorf("ready are %s, %+v", d.ids(), j)
	}
	if jobs, err := d.r.Jobs(); err != nil || jobs[0].ID+jobs[1].ID+jobs[2].ID != "q1q2q3" {
		t.Errorf("%+v, %v", jobs, err)
	}
}

func TestDequeue(t *testing.T) {
	fill := func() *desk {
		d := newDesk(t)
		for i, callback := range []string{"a", "b", "a", "c"} {
			d.do(Enqueue, fmt.Sprintf(`{"id":"q%d","callback":%q}`, i, callback))
		}
		d.do(Schedule, `{"id":"s","callback":"a","delaySeconds":1}`)
		return d
	}
	for payload, want := range map[string][2]string{
		`{"id":"q0"}`:      {"1", "q1 q2 q3 s"},
		`{"id":"none"}`:    {"0", "q0 q1 q2 q3 s"},
		`{"id":"s"}`:       {"0", "q0 q1 q2 q3 s"},
		`{"callback":"a"}`: {"2", "q1 q3 s"},
		`{"all":true}`:     {"4", "s"},
	} {
		d := fill()
		ref := d.do(Dequeue, payload)
		jobs, err := d.r.Jobs()
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
		if got := strings.Join(ids, " "); ref != want[0] || got != want[1] {
			t.Errorf("%s: %s leaves %s", payload, ref, got)
		}
	}
	// The part goes with the last job.
	d := newDesk(t)
	d.do(Enqueue, `{"callback":"c"}`)
	d.do(Dequeue, `{"all":true}`)
	if _, ok := d.r.Parts[PartJobs]; ok || !d.r.AlarmAt.IsZero() {
		t.Error("jobs are left")
	}
	// Where nothing is, nothing appears.
	d = newDesk(t)
	if ref := d.do(Dequeue, `{"all":true}`); ref != "0" || d.r.Present || len(d.r.Parts) != 0 {
		t.Errorf("%s %+v", ref, d.r.Head)
	}
	if ref := d.do(FinishJob, `{"id":"a","run":1,"holder":"h"}`); ref != FinishDropped || d.r.Present || len(d.r.Parts) != 0 {
		t.Errorf("%s %+v", ref, d.r.Head)
	}
}

func TestOneShots(t *testing.T) {
	d := newDesk(t)
	d.do(Schedule, `{"id":"a","callback":"c","delaySeconds":0}`)
	if ref := d.run("a", ""); ref != FinishDone {
		t.Error(ref)
	}
	d.do(Schedule, `{"id":"b","callback":"c","delaySeconds":0,"retry":{"maxAttempts":2}}`)
	if ref := d.run("b", "x"); ref != FinishRetry {
		t.Error(ref)
	}
	if ref := d.run("b", "x"); ref != FinishFailed {
		t.Error(ref)
	}
	d.do(Schedule, `{"id":"c","callback":"c","at":"2026-01-01T00:00:00Z"}`)
	d.do(StartJob, StartRequest{ID: "c", Run: 1, Holder: "h", Until: d.now.Add(time.Minute)})
	if ref := d.do(FinishJob, FinishRequest{ID: "c", Run: 1, Holder: "h", Error: "no", Permanent: true}); ref != FinishFailed {
		t.Error(ref)
	}
	if jobs, err := d.r.Jobs(); err != nil || len(jobs) != 0 {
		t.Errorf("%v, %v", jobs, err)
	}
}

// TestRecurring: late runs come once, what was missed is counted, and the next time is after the end.
func TestRecurring(t *testing.T) {
	d := newDesk(t)
	d.do(Schedule, `{"id":"c","callback":"c","cron":"* * * * *"}`) // due 05:07
	d.do(Schedule, `{"id":"i","callback":"c","intervalSeconds":60}`)
	d.now = time.Date(2026, 3, 4, 5, 10, 0, 0, time.UTC)
	if got := d.ids(); got != "c i" {
		t.Errorf("ready are %s", got)
	}
	if ref := d.run("c", ""); ref != FinishNext {
		t.Error(ref)
	}
	if j := d.job("c"); j.Missed != 3 || j.Run != 2 || j.Due.Format("15:04:05") != "05:11:00" {
		t.Errorf("%+v", j)
	}
	d.do(StartJob, StartRequest{ID: "i", Run: 1, Holder: "h", Until: d.now.Add(time.Hour)})
	d.now = d.now.Add(150 * time.Second)
	d.do(FinishJob, FinishRequest{ID: "i", Run: 1, Holder: "h"})
	// It was due at 05:07:07 and began at 05:10:00: two were missed. Those that fell into its run never were to be.
	if j := d.job("i"); j.Missed != 2 || !j.Due.Equal(d.now.Add(time.Minute)) || j.Run != 2 {
		t.Errorf("%+v", j)
	}
	// Attempts used up: it waits for its next occurrence and starts from the beginning.
	for _, want := range []string{FinishRetry, FinishRetry, FinishNext} {
		d.now = d.job("c").ReadyAt()
		if ref := d.run("c", "x"); ref != want {
			t.Errorf("%s, want %s", ref, want)
		}
	}
	if j := d.job("c"); j.Attempt != 0 || j.LastError != "x" || j.Run != 5 || !j.Due.After(d.now) {
		t.Errorf("%+v", j)
	}
	d.now = d.job("c").Due
	d.run("c", "")
	if j := d.job("c"); j.LastError != "" {
		t.Errorf("%+v", j)
	}
	// A year of seconds is not counted one by one.
	d.do(Schedule, `{"id":"s","callback":"s","cron":"* * * * * *"}`)
	d.now = d.now.AddDate(1, 0, 0)
	d.run("s", "")
	if j := d.job("s"); j.Missed != maxPassed {
		t.Errorf("missed %d", j.Missed)
	}
}

// TestSameTime: jobs that are due at the same time come in the order in which they were made, whatever their ids.
func TestSameTime(t *testing.T) {
	d := newDesk(t)
	ids := []string{"m", "z", "a", "k", "b"}
	for _, id := range ids {
		d.do(Schedule, fmt.Sprintf(`{"id":%q,"callback":"c","at":"2026-03-04T05:00:00Z"}`, id))
	}
	if got, want := d.ids(), strings.Join(ids, " "); got != want {
		t.Errorf("ready are %s, want %s", got, want)
	}
	d.do(Schedule, `{"id":"first","callback":"c","at":"2026-03-04T04:59:59.999999Z"}`)
	if got, want := d.ids(), "first "+strings.Join(ids, " "); got != want {
		t.Errorf("ready are %s, want %s", got, want)
	}
}

func TestBackoff(t *testing.T) {
	const runs = 2000
	j := Job{ID: "j", Attempt: 2}
	total := time.Duration(0)
	for run := range int64(runs) {
		j.Run = run
		wait := j.backoff()
		if wait != j.backoff() {
			t.Fatal("depends on chance")
		}
		if wait < 0 || wait > 400*time.Millisecond {
			t.Fatalf("waits %s", wait)
		}
		total += wait
	}
	if mean := total / runs; mean < 180*time.Millisecond || mean > 220*time.Millisecond {
		t.Errorf("waits %s on average, want about 200ms: full jitter", mean)
	}
	for attempt, limit := range map[int]time.Duration{1: 200 * time.Millisecond, 4: 1600 * time.Millisecond, 5: 3 * time.Second, 29: 3 * time.Second, 1000: 3 * time.Second} {
		longest := time.Duration(0)
		for run := range int64(runs) {
			longest = max(longest, Job{ID: "j", Attempt: attempt, Run: run}.backoff())
		}
		if longest > limit || longest < limit*9/10 {
			t.Errorf("attempt %d waits %s at most, want %s", attempt, longest, limit)
		}
	}
}

func TestMaxJobs(t *testing.T) {
	jobs := make([]Job, MaxJobs)
	for i := range jobs {
		jobs[i] = Job{ID: fmt.Sprint("j", i), Type: JobQueue, Callback: "c", Due: foldTime, CreatedAt: foldTime, Run: 1}
	}
	data, err := EncodeJobs(jobs)
	if err != nil {
		t.Fatal(err)
	}
	base := stored(1, "jobs", string(data))
	base.AlarmAt = foldTime
	for _, m := range []Mutation{{ID: "x", Kind: Enqueue, Payload: []byte(`{"callback":"c"}`)}, {ID: "x", Kind: Schedule, Payload: []byte(`{"callback":"c","delaySeconds":1}`)}} {
		f := fold(base, foldTime)
		if _, err := f.apply(m, nil); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
		unchanged(t, base, f.result())
		if _, err := f.apply(Mutation{ID: "y", Kind: Enqueue, Payload: []byte(`{"id":"j5","callback":"d"}`)}, nil); err != nil {
			t.Errorf("one in place of another: %v", err)
		}
		if _, err := f.apply(Mutation{ID: "z", Kind: Dequeue, Payload: []byte(`{"id":"j7"}`)}, nil); err != nil {
			t.Error(err)
		}
		if _, err := f.apply(m, nil); err != nil {
			t.Errorf("with one less: %v", err)
		}
	}
}

func TestListJobs(t *testing.T) {
	at := func(s int) time.Time { return foldTime.Add(time.Duration(s) * time.Second) }
	jobs := []Job{
		{ID: "a", Type: JobCron, Callback: "x", Due: at(1), Payload: json.RawMessage(`{"k":1,"k":2.0,"o":{}}`)},
		{ID: "b", Type: JobQueue, Callback: "x", Due: at(2), Payload: json.RawMessage(`{"k":"1"}`)},
		{ID: "c", Type: JobQueue, Callback: "y", Due: at(3), Payload: json.RawMessage(`[1]`)},
		{ID: "d", Type: JobDelayed, Callback: "y", Due: at(4)},
	}
	for want, f := range map[string]Filter{
		"abcd": {}, "b": {ID: "b"}, "": {ID: "b", Type: JobCron}, "bc": {Type: JobQueue}, "cd": {Callback: "y"},
		"bcd": {From: at(2)}, "ab": {To: at(2)}, "c": {From: at(3), To: at(3)},
		"a": {PayloadKey: "k", PayloadValue: json.RawMessage(`2`)},
	} {
		got := ""
		for _, j := range ListJobs(jobs, f) {
			got += j.ID
		}
		if got != want {
			t.Errorf("%+v: %q, want %q", f, got, want)
		}
	}
	for _, f := range []Filter{
		{PayloadKey: "k", PayloadValue: json.RawMessage(`1`)}, {PayloadKey: "o", PayloadValue: json.RawMessage(`{}`)}, {PayloadKey: "k"}, {PayloadKey: "0", PayloadValue: json.RawMessage(`1`)},
	} {
		if got := ListJobs(jobs, f); len(got) != 0 {
			t.Errorf("%+v: %v", f, got)
		}
	}
	if len(jobs) != 4 || jobs[0].ID != "a" {
		t.Error("the list given has changed")
	}
}

// TestJobsText: the stored form is a promise to whoever reads records, and to the next release.
func TestJobsText(t *testing.T) {
	d := newDesk(t)
	d.do(Schedule, `{"id":"s","callback":"tick","payload":{"a": "<\u003c>"},"intervalSeconds":90,"retry":{"maxAttempts":5}}`)
	d.do(StartJob, StartRequest{ID: "s", Run: 1, Holder: "h", Until: d.now.Add(time.Minute)})
	want := `[{"id":"s","type":"interval","callback":"tick","payload":{"a":"<\u003c>"},"due":"2026-03-04T05:07:37.25Z","createdAt":"2026-03-04T05:06:07.25Z","intervalSeconds":90,"retry":{"maxAttempts":5},"run":1,"holder":"h","heldUntil":"2026-03-04T05:07:07.25Z"}]`
	if got := string(d.r.Parts[PartJobs].Data); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := d.job("s").ReadyAt(); !got.Equal(d.job("s").Due) {
		t.Errorf("a claim that ends before the job is due makes it ready at %s", got)
	}
	damaged := stored(1, "jobs", `[{"due":"x"}]`)
	if _, err := damaged.Jobs(); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, err := damaged.Ready(d.now); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, err := d.r.Job("none"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := checkDelay(math.NaN()); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if err := checkInterval(math.NaN()); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}
