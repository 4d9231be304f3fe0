package cfexport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"vibesdk-gcp/internal/jsondoc"
	"vibesdk-gcp/platform/session"
)

// Write writes a session as a dump in the given form. It fails when the record is damaged or when w does.
func Write(w io.Writer, r *session.Record, form Form) error {
	d := &dump{}
	if p, ok := r.Parts[session.PartTables]; ok {
		kept, err := parseDump(p.Data)
		if err != nil {
			return fmt.Errorf("stored tables: %w", err)
		}
		d = kept
	}
	if state, ok := r.State(); ok {
		d.add(tableState, row{{"id", quotedOrNull(rowState)}, {"state", jsondoc.Quote(string(state))}}.write())
	}
	for name, part := range map[string]session.PartName{tableFull: session.PartFullConversations, tableCompact: session.PartCompactConversations} {
		if p, ok := r.Parts[part]; ok {
			d.add(name, row{{"id", quotedOrNull(rowDefault)}, {"messages", jsondoc.Quote(string(p.Data))}}.write())
		}
	}
	if p, ok := r.Parts[session.PartMCPServers]; ok {
		err := jsondoc.Object(p.Data, func(_ string, value []byte) error {
			d.add(tableMCP, value)
			return nil
		})
		if err != nil {
			return fmt.Errorf("stored servers: %w", err)
		}
	}
	if err := addJobs(d, r, form); err != nil {
		return err
	}
	d.suit(form)
	_, err := w.Write(d.write())
	return err
}

func addJobs(d *dump, r *session.Record, form Form) error {
	jobs, err := r.Jobs()
	if err != nil {
		return err
	}
	// The SDK finds the order of its queue in the times, so each is after the one before it.
	last := int64(0)
	for _, j := range jobs {
		switch {
		case j.Parked:
			text, err := encodeParked(j)
			if err != nil {
				return err
			}
			d.add(tableParked, text)
		case form == Jobs:
			ms := j.Due.UnixMilli()
			if j.Type == session.JobQueue {
				ms = max(ms, last+1)
				last = ms
			}
			d.add(tableJobs, jobRow(j, ms).write())
		case j.Type == session.JobQueue:
			d.add(tableQueues, queuedRow(j).write())
		default:
			d.add(tableSchedules, scheduleRow(j).write())
		}
	}
	return nil
}

func encodeParked(j session.Job) ([]byte, error) {
	array, err := session.EncodeJobs([]session.Job{j})
	return bytes.TrimSuffix(bytes.TrimPrefix(array, []byte("[")), []byte("]")), err
}

// suit leaves out what belongs to the other form: its empty tables and the markers of its version.
func (d *dump) suit(form Form) {
	others := []string{tableSchedules, tableQueues}
	if form == Tables {
		others = []string{tableJobs}
	}
	foreign := len(d.tables) > 0 && slices.ContainsFunc(d.tables, func(t *table) bool { return slices.Contains(others, t.name) })
	d.tables = slices.DeleteFunc(d.tables, func(t *table) bool { return len(t.rows) == 0 && slices.Contains(others, t.name) })
	if !foreign {
		return
	}
	if form == Tables {
		d.storage = slices.DeleteFunc(d.storage, func(c column) bool {
			return strings.HasPrefix(c.name, "cf_agents:") && strings.HasSuffix(c.name, "schema_version")
		})
		return
	}
	if t := d.find(tableState); t != nil {
		t.rows = slices.DeleteFunc(t.rows, func(text []byte) bool {
			r, err := readRow(text)
			id, _ := r.text("id")
			return err == nil && (id == "cf_schema_version" || id == "cf_state_was_changed")
		})
	}
}

// source is the row that a job came from and the job that it was then; both are zero for a job made here.
func source(j session.Job) (o origin, r, wrapper row, was session.Job) {
	if len(j.Extra) == 0 || json.Unmarshal(j.Extra, &o) != nil {
		return origin{}, nil, nil, session.Job{}
	}
	r, _ = readRow(o.Row)
	read := map[string]func(row) (session.Job, bool, error){tableSchedules: readSchedule, tableQueues: readQueued, tableJobs: readJob}[o.Table]
	if read == nil || r == nil {
		return origin{}, nil, nil, session.Job{}
	}
	if o.Wrapper != nil {
		wrapper, _ = readRow(o.Wrapper)
		was, _, _ = read(append(slices.Clone(r), column{"payload", jsondoc.Quote(string(o.Wrapper))}))
	} else {
		was, _, _ = read(r)
	}
	return o, r, wrapper, was
}

// cell is a column to be written. It is left as it was in the row it came from when that still says the same.
type cell struct {
	column
	same bool
}

// overlay writes cells over the row that a job came from. Columns that it did not have are added unless they are NULL.
func overlay(from row, cells []cell) row {
	out := slices.Clone(from)
	for _, c := range cells {
		i := slices.IndexFunc(out, func(old column) bool { return old.name == c.name })
		switch {
		case i < 0 && !bytes.Equal(c.value, null):
			out = append(out, c.column)
		case i >= 0 && !c.same:
			out[i].value = c.value
		}
	}
	return out
}

func scheduleRow(j session.Job) row {
	o, from, wrapper, was := source(j)
	if o.Table != tableSchedules {
		from = nil
	}
	ran := !was.Due.Equal(j.Due) || j.Run != 1
	cells := []cell{
		{column{"id", jsondoc.Quote(j.ID)}, true},
		{column{"callback", jsondoc.Quote(j.Callback)}, was.Callback == j.Callback},
		{column{"payload", textOrNull(j.Payload)}, false},
		{column{"type", jsondoc.Quote(string(j.Type))}, was.Type == j.Type},
		{column{"time", integer(j.Due.Unix())}, was.Due.Equal(j.Due)},
		{column{"delayInSeconds", numberOrNull(j.DelaySeconds)}, was.DelaySeconds == j.DelaySeconds},
		{column{"cron", quotedOrNull(j.Cron)}, was.Cron == j.Cron},
		{column{"intervalSeconds", numberOrNull(j.IntervalSeconds)}, was.IntervalSeconds == j.IntervalSeconds},
		{column{"created_at", integer(j.CreatedAt.Unix())}, was.CreatedAt.Equal(j.CreatedAt)},
		{column{"retry_options", retryColumn(j, o, wrapper)}, was.Retry == j.Retry},
		{column{"running", integer(0)}, !ran},
		{column{"execution_started_at", null}, !ran},
		{column{"owner_path", ownerColumn(wrapper, "owner_path")}, true},
		{column{"owner_path_key", ownerColumn(wrapper, "owner_path_key")}, true},
	}
	// The column exists in newer ones of the older tables only, and its default is 0.
	if from.get("running") == nil {
		cells = slices.DeleteFunc(cells, func(c cell) bool { return c.name == "running" })
	}
	return withPayload(from, cells)
}

func queuedRow(j session.Job) row {
	o, from, wrapper, was := source(j)
	if o.Table != tableQueues {
		from = nil
	}
	return withPayload(from, []cell{
		{column{"id", jsondoc.Quote(j.ID)}, true},
		{column{"callback", jsondoc.Quote(j.Callback)}, was.Callback == j.Callback},
		{column{"payload", textOrNull(j.Payload)}, false},
		{column{"created_at", integer(j.CreatedAt.Unix())}, was.CreatedAt.Equal(j.CreatedAt)},
		{column{"retry_options", retryColumn(j, o, wrapper)}, was.Retry == j.Retry},
	})
}

// withPayload is overlay for rows that have a payload column in any case.
func withPayload(from row, cells []cell) row {
	if from != nil && from.get("payload") == nil {
		from = append(slices.Clone(from), column{"payload", null})
	}
	return overlay(from, cells)
}

// retryColumn is the policy in the older tables, which have one only where the caller gave one.
func retryColumn(j session.Job, o origin, wrapper row) []byte {
	if j.Retry == (session.Retry{}) || o.Table == tableJobs && j.Type != session.JobQueue && !wrapper.has("retry") {
		return null
	}
	return jsondoc.Quote(string(retryText(j.Retry)))
}

func retryText(r session.Retry) []byte {
	return row{{"maxAttempts", integer(int64(r.MaxAttempts))}, {"baseDelayMs", integer(int64(r.BaseDelayMS))}, {"maxDelayMs", integer(int64(r.MaxDelayMS))}}.write()
}

// ownerColumn is a member of the wrapper as a TEXT column.
func ownerColumn(wrapper row, name string) []byte {
	value := wrapper.get(name)
	switch {
	case value == nil:
		return null
	case value[0] == '{' || value[0] == '[':
		return jsondoc.Quote(string(value))
	default:
		return value
	}
}

func jobRow(j session.Job, ms int64) row {
	o, from, wrapper, was := source(j)
	older := from
	if o.Table != tableJobs {
		from, wrapper = nil, nil
	}
	ran := !was.Due.Equal(j.Due) || j.Run != 1
	scheduled := j.Type != session.JobQueue
	capability, hung, single := "queue", null, int64(0)
	if scheduled {
		capability, hung = "scheduler", integer(30)
	}
	if j.Type == session.JobInterval {
		single = 1
	}
	inside := []cell{
		{column{"payload", j.Payload}, false},
		{column{"type", jsondoc.Quote(string(j.Type))}, was.Type == j.Type},
		{column{"delayInSeconds", numberOrNull(j.DelaySeconds)}, was.DelaySeconds == j.DelaySeconds},
		{column{"cron", quotedOrNull(j.Cron)}, was.Cron == j.Cron},
		{column{"intervalSeconds", numberOrNull(j.IntervalSeconds)}, was.IntervalSeconds == j.IntervalSeconds},
	}
	if j.Payload == nil {
		inside = inside[1:]
	}
	if !scheduled {
		inside = slices.DeleteFunc(inside, func(c cell) bool { return c.name != "payload" })
	} else if from == nil && j.Retry != (session.Retry{}) {
		inside = append(inside, cell{column{"retry", retryText(j.Retry)}, false})
	}
	wrapper = overlay(wrapper, inside)
	if j.Payload != nil && wrapper.get("payload") == nil {
		wrapper = append(row{{"payload", null}}, wrapper...)
	}
	for _, name := range []string{"owner_path", "owner_path_key"} {
		if from == nil {
			value := older.get(name)
			if value == nil {
				value = null
			}
			wrapper = append(wrapper, column{name, value})
		}
	}
	if from != nil && from.get("payload") == nil {
		from = append(slices.Clone(from), column{"payload", null})
	}
	resolved := j.Retry.Resolved()
	cells := []cell{
		{column{"id", jsondoc.Quote(j.ID)}, true},
		{column{"capability", jsondoc.Quote(capability)}, true},
		{column{"fn", jsondoc.Quote(j.Callback)}, was.Callback == j.Callback},
		{column{"time", integer(ms)}, false},
		{column{"payload", jsondoc.Quote(string(wrapper.write()))}, false},
		{column{"retry_options", jsondoc.Quote(string(retryText(resolved)))}, was.Retry == j.Retry},
		{column{"singleflight", integer(single)}, was.Type == j.Type},
		{column{"hung_timeout_seconds", hung}, true},
		{column{"exclusive", integer(0)}, true},
		{column{"recovery_loop", integer(0)}, true},
		{column{"running", integer(0)}, !ran},
		{column{"execution_started_at", null}, !ran},
		{column{"created_at", integer(j.CreatedAt.Unix())}, was.CreatedAt.Equal(j.CreatedAt)},
	}
	return overlay(from, cells)
}
