package cfexport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"vibesdk-gcp/internal/jsondoc"
	"vibesdk-gcp/platform/session"
)

// Read reads a dump of at most MaxDump bytes. Errors say which row of which table cannot be read and why, and contain no
// value of it. The limits of a session are checked when the request is applied.
func Read(r io.Reader) (session.ImportRequest, error) {
	request, err := read(r)
	if err != nil {
		return session.ImportRequest{}, fmt.Errorf("dump: %w", err)
	}
	return request, nil
}

func read(r io.Reader) (session.ImportRequest, error) {
	none := session.ImportRequest{}
	text, err := io.ReadAll(io.LimitReader(r, MaxDump+1))
	if err != nil {
		return none, err
	}
	if len(text) > MaxDump {
		return none, fmt.Errorf("more than %d bytes", MaxDump)
	}
	if err := jsondoc.Check(text); err != nil {
		return none, err
	}
	d, err := parseDump(text)
	if err != nil {
		return none, err
	}
	in := reading{parts: map[session.PartName]json.RawMessage{}}
	for _, t := range d.tables {
		if t.rows, err = in.table(t); err != nil {
			return none, err
		}
	}
	if len(in.servers) > 0 {
		in.parts[session.PartMCPServers] = in.servers.write()
	}
	if len(in.schedules)+len(in.queue) > 0 {
		if in.parts[session.PartJobs], err = session.EncodeJobs(in.jobs()); err != nil {
			return none, err
		}
	}
	if len(d.tables) > 0 || d.stored {
		in.parts[session.PartTables] = d.write()
	}
	return session.ImportRequest{Initialized: initialized(in.parts[session.PartState]), Parts: in.parts}, nil
}

// reading collects what is interpreted.
type reading struct {
	parts            map[session.PartName]json.RawMessage
	servers          row
	schedules, queue []session.Job
}

// jobs returns the jobs in the order in which they were made, as far as the dump tells: tables are in the order of random ids.
func (in *reading) jobs() []session.Job {
	slices.SortStableFunc(in.schedules, func(a, b session.Job) int { return a.CreatedAt.Compare(b.CreatedAt) })
	slices.SortStableFunc(in.queue, func(a, b session.Job) int { return a.Due.Compare(b.Due) })
	return append(in.schedules, in.queue...)
}

// table interprets the rows of a table and returns the others.
func (in *reading) table(t *table) ([][]byte, error) {
	interpret := map[string]func(row, []byte) (bool, error){
		tableState:     in.state,
		tableFull:      in.conversation(session.PartFullConversations),
		tableCompact:   in.conversation(session.PartCompactConversations),
		tableMCP:       in.server,
		tableSchedules: in.job(readSchedule),
		tableQueues:    in.job(readQueued),
		tableJobs:      in.job(readJob),
		tableParked:    in.job(readParked),
	}[t.name]
	if interpret == nil {
		return t.rows, nil
	}
	rest := [][]byte{}
	for i, text := range t.rows {
		r, err := readRow(text)
		taken := false
		if err == nil {
			taken, err = interpret(r, text)
		}
		if err != nil {
			return nil, fmt.Errorf("table %s, row %d: %w", t.name, i, err)
		}
		if !taken {
			rest = append(rest, text)
		}
	}
	return rest, nil
}

func (in *reading) state(r row, _ []byte) (bool, error) {
	return in.part(r, rowState, "state", session.PartState)
}

func (in *reading) conversation(name session.PartName) func(row, []byte) (bool, error) {
	return func(r row, _ []byte) (bool, error) {
		taken, err := in.part(r, rowDefault, "messages", name)
		if taken && in.parts[name][0] != '[' {
			err = fmt.Errorf("column messages is not an array")
		}
		return taken, err
	}
}

// part takes the column of a row with this id for a part. NULL is no value.
func (in *reading) part(r row, id, name string, part session.PartName) (bool, error) {
	have, err := r.text("id")
	if err != nil || have != id {
		return false, err
	}
	value, err := r.json(name)
	if err != nil || value == nil {
		return false, err
	}
	if len(r) != 2 {
		return false, fmt.Errorf("has columns besides id and %s", name)
	}
	if in.parts[part] != nil {
		return false, fmt.Errorf("id comes twice")
	}
	in.parts[part] = bytes.TrimSpace(value)
	return true, nil
}

func (in *reading) server(r row, text []byte) (bool, error) {
	id, err := r.text("id")
	if err != nil {
		return false, err
	}
	if id == "" || in.servers.get(id) != nil {
		return false, fmt.Errorf("id is missing or comes twice")
	}
	in.servers = append(in.servers, column{id, text})
	return true, nil
}

func (in *reading) job(read func(row) (session.Job, bool, error)) func(row, []byte) (bool, error) {
	return func(r row, _ []byte) (bool, error) {
		j, ok, err := read(r)
		if err != nil || !ok {
			return false, err
		}
		if j.Type == session.JobQueue {
			in.queue = append(in.queue, j)
		} else {
			in.schedules = append(in.schedules, j)
		}
		return true, nil
	}
}

// initialized is what the agent would say: VibeSDK's looks for its id in the state, another one counts as initialized
// once it has a state.
func initialized(state []byte) bool {
	doc, err := jsondoc.New(state)
	if err != nil {
		return false
	}
	ours := false
	for _, path := range []string{"/metadata", "/behaviorType", "/inferenceContext"} {
		if _, err := doc.Get(path); err != nil {
			continue
		}
		ours = true
		if id, err := doc.Get(path + "/agentId"); err == nil && id[0] == '"' && len(id) > 2 {
			return true
		}
	}
	return !ours
}
