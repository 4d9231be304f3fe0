package cfexport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"vibesdk-gcp/internal/jsondoc"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/cfexport"
)

var (
	values    = rapid.SampledFrom([]string{`null`, `1`, `1.0`, `"x"`, `"<&\u2028>"`, `{"a":[1,{"b":null}]}`, `[]`, `"\\"`})
	optionals = rapid.SampledFrom([]string{`null`, `"{\"maxAttempts\":4,\"baseDelayMs\":10,\"maxDelayMs\":20}"`})
	owners    = rapid.SampledFrom([]string{`null`, `"root"`})
)

// oldDumps draws what objects with the older tables hold.
var oldDumps = rapid.Custom(func(t *rapid.T) string {
	text := func() string { return string(jsondoc.Quote(values.Draw(t, "value"))) }
	second := func(name string) int { return rapid.IntRange(1, 4_000_000_000).Draw(t, name) }
	var schedules, queue bytes.Buffer
	for i := range rapid.IntRange(0, 5).Draw(t, "schedules") {
		when := rapid.SampledFrom([]string{
			`"type":"delayed","delayInSeconds":1.5,"cron":null,"intervalSeconds":null`, `"type":"scheduled","delayInSeconds":null,"cron":null,"intervalSeconds":null`,
			`"type":"cron","delayInSeconds":null,"cron":"*/5 * * * *","intervalSeconds":null`, `"type":"interval","delayInSeconds":null,"cron":null,"intervalSeconds":90`,
		}).Draw(t, "when")
		fmt.Fprintf(&schedules, `,{"id":"s%d","callback":"c%d","payload":%s,%s,"time":%d,"running":0,"created_at":%d,"execution_started_at":null,"retry_options":%s,"owner_path":%s,"owner_path_key":null,"more":%s}`,
			i, i%2, text(), when, second("time"), second("created"), optionals.Draw(t, "retry"), owners.Draw(t, "owner"), text())
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "queue") {
		fmt.Fprintf(&queue, `,{"id":"q%d","callback":"c","payload":%s,"created_at":%d,"retry_options":%s}`, i, text(), second("created"), optionals.Draw(t, "retry"))
	}
	return fmt.Sprintf(`{"tables":{"cf_agents_state":[{"id":"cf_state_row_id","state":%s},{"id":"cf_state_was_changed","state":"true"}],"cf_agents_schedules":[%s],"cf_agents_queues":[%s],"other":[{"blob":{"$base64":"AA=="},"n":%d}]},"storage":{"k":%s}}`,
		text(), bytes.TrimPrefix(schedules.Bytes(), []byte(",")), bytes.TrimPrefix(queue.Bytes(), []byte(",")), second("n"), text())
})

// TestRoundTrips: a dump comes back as it was, and through the newer form with the same jobs.
func TestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dump := oldDumps.Draw(t, "dump")
		r := record(t, read(t, dump))
		same(t, write(t, r, cfexport.Tables), dump)

		newer := write(t, r, cfexport.Jobs)
		there := record(t, read(t, newer))
		same(t, write(t, there, cfexport.Jobs), newer)
		sameJobs(t, r, there, false)
		back := record(t, read(t, write(t, there, cfexport.Tables)))
		sameJobs(t, r, back, true)
		a, _ := r.State()
		b, _ := back.State()
		if !bytes.Equal(a, b) {
			t.Fatalf("the state was %s, is %s", a, b)
		}
	})
}

// sameJobs compares by what a job does. The queue's times move in the newer form, so only its order counts there.
func sameJobs(t fataler, a, b *session.Record, seconds bool) {
	t.Helper()
	show := func(r *session.Record) []string {
		jobs, err := r.Jobs()
		if err != nil {
			t.Fatal(err)
		}
		var schedules, queue []string
		for _, j := range jobs {
			line := fmt.Sprintf("%s %s %s %s %s %v %v %v %v", j.ID, j.Type, j.Callback, j.Payload, j.Cron, j.DelaySeconds, j.IntervalSeconds, j.Retry.Resolved(), j.CreatedAt.Unix())
			if j.Type == session.JobQueue {
				queue = append(queue, line)
			} else {
				schedules = append(schedules, line+fmt.Sprint(j.Due))
			}
		}
		return append(schedules, queue...)
	}
	x, y := show(a), show(b)
	if len(x) != len(y) {
		t.Fatalf("%d jobs became %d", len(x), len(y))
	}
	for i := range x {
		if x[i] != y[i] {
			t.Fatalf("through seconds %v: %s became %s", seconds, x[i], y[i])
		}
	}
}

// FuzzRead: whatever is read can be written in both forms and read again.
func FuzzRead(f *testing.F) {
	for _, dump := range []string{early, late, `{"tables":{"cf_agents_jobs":[{"id":"a","capability":"scheduler","fn":"f","time":1,"created_at":1,"payload":"{\"type\":\"cron\",\"cron\":\"x\"}"}]}}`} {
		f.Add([]byte(dump))
	}
	f.Fuzz(func(t *testing.T, dump []byte) {
		request, err := cfexport.Read(bytes.NewReader(dump))
		if err != nil {
			return
		}
		r := &session.Record{Parts: map[session.PartName]session.Part{}}
		for name, data := range request.Parts {
			if err := jsondoc.Check(data); err != nil {
				t.Fatalf("%s: %s: %v", name, data, err)
			}
			r.Parts[name] = session.Part{Data: data}
		}
		for _, form := range []cfexport.Form{cfexport.Tables, cfexport.Jobs} {
			var out bytes.Buffer
			if err := cfexport.Write(&out, r, form); err != nil {
				t.Skip("what the port would reject need not be written")
			}
			if !json.Valid(out.Bytes()) {
				t.Fatalf("not JSON: %s", out.Bytes())
			}
			again, err := cfexport.Read(&out)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Parts[session.PartState], request.Parts[session.PartState]) {
				t.Fatal("the state has changed")
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	benchmarkState(b, func(dump []byte) {
		if _, err := cfexport.Read(bytes.NewReader(dump)); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	benchmarkState(b, func(dump []byte) {
		r := &session.Record{Parts: map[session.PartName]session.Part{session.PartState: {Data: dump}}}
		if err := cfexport.Write(&bytes.Buffer{}, r, cfexport.Jobs); err != nil {
			b.Fatal(err)
		}
	})
}

func benchmarkState(b *testing.B, do func([]byte)) {
	state := `{"files":"` + string(bytes.Repeat([]byte(`const x = 1;\n`), 1<<16)) + `"}`
	dump := fmt.Appendf(nil, `{"tables":{"cf_agents_state":[{"id":"cf_state_row_id","state":%s}]}}`, jsondoc.Quote(state))
	b.SetBytes(int64(len(dump)))
	for b.Loop() {
		do(dump)
	}
}
