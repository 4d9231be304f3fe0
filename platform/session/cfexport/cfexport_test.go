package cfexport_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/cfexport"
)

// early is what an object with an early release of the SDK holds: git objects, both conversations, schedules and a queue.
const early = `{"tables":{
 "cf_agents_state":[{"id":"cf_state_row_id","state":"{ \"inferenceContext\" : {\"agentId\":\"a1\"},\"n\":1.50,\"n\":\"\\u00e9\\/\"}"},{"id":"cf_state_was_changed","state":"true"}],
 "cf_agents_queues":[{"id":"q1","payload":"{\"x\":1}","callback":"work","created_at":1795432762},{"id":"q0","payload":"null","callback":"work","created_at":1795432700}],
 "cf_agents_schedules":[
  {"id":"s1","callback":"tick","payload":"{\"p\":1}","type":"delayed","time":1795436342,"delayInSeconds":3600.5,"cron":null,"created_at":1795432742},
  {"id":"s2","callback":"tick","payload":"\"c\"","type":"cron","time":1798761600,"delayInSeconds":null,"cron":"0 0 1 1 *","created_at":1795432742},
  {"id":"s3","callback":"tick","payload":null,"type":"scheduled","time":4102444800,"delayInSeconds":null,"cron":null,"created_at":1795432743}],
 "cf_agents_mcp_servers":[{"id":"m1","name":"dead","server_url":"http://127.0.0.1:9/mcp","callback_url":"http://x/cb","client_id":null,"auth_url":null,"server_options":"{\"a\":1}"}],
 "full_conversations":[{"id":"default","messages":"[ {\"role\":\"user\"} ]"},{"id":"other","messages":"[]"}],
 "compact_conversations":[{"id":"default","messages":"[]"}],
 "git_objects":[{"path":"/a","chunk_index":0,"parent_path":"/","data":{"$base64":"AAEC/w=="},"is_dir":0,"size":4,"mtime":1795432742123}],
 "empty":[]}}`

// late is the same form in a later release: intervals, retries and owners.
const late = `{"tables":{
 "cf_agents_state":[{"id":"cf_schema_version","state":"11"},{"id":"cf_state_row_id","state":"{\"behaviorType\":\"phasic\",\"metadata\":{\"agentId\":\"a\"}}"}],
 "cf_agents_schedules":[
  {"id":"i1","callback":"tick","payload":"null","type":"interval","time":1795439942,"delayInSeconds":null,"cron":null,"intervalSeconds":7200,"running":1,"created_at":1795432742,"execution_started_at":1795432750,"retry_options":"{\"maxAttempts\":5}","owner_path":"[\"root\",\"kid\"]","owner_path_key":"root/kid"},
  {"id":"beat","callback":"_cf_keepAliveHeartbeat","payload":"null","type":"interval","time":1,"delayInSeconds":null,"cron":null,"intervalSeconds":30,"running":0,"created_at":1,"execution_started_at":null,"retry_options":null,"owner_path":null,"owner_path_key":null}],
 "cf_agents_queues":[{"id":"q","payload":"1","callback":"work","created_at":1,"retry_options":null}]},
 "storage":{}}`

func read(t fataler, dump string) session.ImportRequest {
	t.Helper()
	request, err := cfexport.Read(strings.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func write(t fataler, r *session.Record, form cfexport.Form) string {
	t.Helper()
	var out bytes.Buffer
	if err := cfexport.Write(&out, r, form); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// same compares dumps: rows of a table in any order, columns with JSON in them by value.
func same(t fataler, got, want string) {
	t.Helper()
	if g, w := normal(t, got), normal(t, want); !reflect.DeepEqual(g, w) {
		t.Errorf("got  %s\nwant %s", show(t, g), show(t, w))
	}
}

func show(t fataler, v any) string {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func normal(t fataler, dump string) map[string]any {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal([]byte(dump), &d); err != nil {
		t.Fatalf("%v: %s", err, dump)
	}
	for name, rows := range d["tables"].(map[string]any) {
		list := rows.([]any)
		for _, row := range list {
			columns := row.(map[string]any)
			for column, value := range columns {
				text, ok := value.(string)
				var inner any
				if ok && name != "cf_agents_state" && name != "full_conversations" && json.Unmarshal([]byte(text), &inner) == nil {
					columns[column] = map[string]any{"json": inner}
				}
			}
		}
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return d
}

func tables(t testing.TB, dump string) map[string][]map[string]any {
	t.Helper()
	var d struct {
		Tables map[string][]map[string]any `json:"tables"`
	}
	if err := json.Unmarshal([]byte(dump), &d); err != nil {
		t.Fatal(err)
	}
	return d.Tables
}

func find(t testing.TB, rows []map[string]any, id string) map[string]any {
	t.Helper()
	for _, r := range rows {
		if r["id"] == id {
			return r
		}
	}
	t.Fatalf("no row %s in %v", id, rows)
	return nil
}

func TestOlderRoundTrip(t *testing.T) {
	for name, dump := range map[string]string{"early": early, "late": late} {
		t.Run(name, func(t *testing.T) {
			request := read(t, dump)
			if !request.Initialized {
				t.Error("not initialized")
			}
			same(t, write(t, record(t, request), cfexport.Tables), dump)
		})
	}
}

func TestInterpretation(t *testing.T) {
	request := read(t, early)
	for name, want := range map[session.PartName]string{
		session.PartState:                `{ "inferenceContext" : {"agentId":"a1"},"n":1.50,"n":"\u00e9\/"}`,
		session.PartFullConversations:    `[ {"role":"user"} ]`,
		session.PartCompactConversations: `[]`,
	} {
		if got := string(request.Parts[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	var servers map[string]map[string]any
	if err := json.Unmarshal(request.Parts[session.PartMCPServers], &servers); err != nil || servers["m1"]["name"] != "dead" {
		t.Errorf("%v, %v", servers, err)
	}
	for _, absent := range []string{"cf_state_row_id", `"s1"`, `"q1"`, `"default"`, `"m1"`} {
		if bytes.Contains(request.Parts[session.PartTables], []byte(absent)) {
			t.Errorf("%s was interpreted and kept as well: %s", absent, request.Parts[session.PartTables])
		}
	}
	jobs, err := record(t, request).Jobs()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, j := range jobs {
		got = append(got, fmt.Sprintf("%s %s %s %s %v %s %d", j.ID, j.Type, j.Callback, j.Payload, j.DelaySeconds, j.Cron, j.Due.UnixMilli()))
	}
	want := []string{
		`q0 queue work null 0  1795432700000`, `q1 queue work {"x":1} 0  1795432762000`, `s1 delayed tick {"p":1} 3600.5  1795436342000`,
		`s2 cron tick "c" 0 0 0 1 1 * 1798761600000`, `s3 scheduled tick  0  4102444800000`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestOlderToNewer is what the SDK does itself when it brings an object up to date.
func TestOlderToNewer(t *testing.T) {
	dump := write(t, record(t, read(t, late)), cfexport.Jobs)
	all := tables(t, dump)
	if len(all["cf_agents_state"]) != 1 {
		t.Errorf("markers of the older form are left: %v", all["cf_agents_state"])
	}
	if _, ok := all["cf_agents_queues"]; ok {
		t.Error("the older queue is left")
	}
	if rows := all["cf_agents_schedules"]; len(rows) != 1 || rows[0]["id"] != "beat" {
		t.Errorf("what was not interpreted is %v", rows)
	}
	interval := find(t, all["cf_agents_jobs"], "i1")
	for column, want := range map[string]any{
		"capability": "scheduler", "fn": "tick", "time": 1795439942000.0, "singleflight": 1.0, "hung_timeout_seconds": 30.0, "exclusive": 0.0,
		"recovery_loop": 0.0, "running": 0.0, "created_at": 1795432742.0, "retry_options": `{"maxAttempts":5,"baseDelayMs":100,"maxDelayMs":3000}`,
	} {
		if interval[column] != want {
			t.Errorf("%s is %v, want %v", column, interval[column], want)
		}
	}
	var payload map[string]any
	if err := json.Unmarshal([]byte(interval["payload"].(string)), &payload); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"payload": nil, "type": "interval", "intervalSeconds": 7200.0, "retry": map[string]any{"maxAttempts": 5.0}, "owner_path": `["root","kid"]`, "owner_path_key": "root/kid"}
	retry := payload["retry"].(map[string]any)
	delete(retry, "baseDelayMs")
	delete(retry, "maxDelayMs")
	if !reflect.DeepEqual(payload, want) {
		t.Errorf("payload is %v", payload)
	}
	if queued := find(t, all["cf_agents_jobs"], "q"); queued["capability"] != "queue" || queued["time"] != 1000.0 || queued["hung_timeout_seconds"] != nil || queued["payload"] != `{"payload":1,"owner_path":null,"owner_path_key":null}` {
		t.Errorf("%v", queued)
	}

	// And back: what was set comes back where it was.
	back := tables(t, write(t, record(t, read(t, dump)), cfexport.Tables))
	interval = find(t, back["cf_agents_schedules"], "i1")
	for column, want := range map[string]any{"callback": "tick", "time": 1795439942.0, "type": "interval", "intervalSeconds": 7200.0, "payload": "null", "owner_path": `["root","kid"]`, "owner_path_key": "root/kid", "created_at": 1795432742.0} {
		if interval[column] != want {
			t.Errorf("%s came back as %v, want %v", column, interval[column], want)
		}
	}
	if queued := find(t, back["cf_agents_queues"], "q"); queued["payload"] != "1" || queued["created_at"] != 1.0 {
		t.Errorf("%v", queued)
	}
}

// TestRecordedObjects imports and exports what a real agent held when it was recorded.
func TestRecordedObjects(t *testing.T) {
	dumps := recorded(t)
	for scenario, dump := range dumps {
		t.Run(scenario, func(t *testing.T) {
			r := record(t, read(t, dump))
			if !r.Initialized {
				t.Error("not initialized")
			}
			same(t, write(t, r, cfexport.Jobs), dump)
			// Through the other form and back, each job is due at the same second.
			there := record(t, read(t, write(t, r, cfexport.Tables)))
			a, err := r.Jobs()
			if err != nil {
				t.Fatal(err)
			}
			b, err := there.Jobs()
			if err != nil || len(a) != len(b) {
				t.Fatalf("%d jobs became %d, %v", len(a), len(b), err)
			}
			for i := range a {
				if a[i].ID != b[i].ID || a[i].Type != b[i].Type || a[i].Callback != b[i].Callback || string(a[i].Payload) != string(b[i].Payload) ||
					a[i].Cron != b[i].Cron || a[i].DelaySeconds != b[i].DelaySeconds || a[i].IntervalSeconds != b[i].IntervalSeconds || a[i].Retry.Resolved() != b[i].Retry.Resolved() ||
					a[i].Type != session.JobQueue && !a[i].Due.Equal(b[i].Due) {
					t.Errorf("%+v became %+v", a[i], b[i])
				}
			}
		})
	}
	jobs, err := record(t, read(t, dumps["queue.fifo"])).Jobs()
	if err != nil {
		t.Fatal(err)
	}
	if got := jobs[0].ID + jobs[1].ID + jobs[2].ID; got != "ubk308VLcXbEyROHoGTWJmG8Ryf" {
		t.Errorf("the queue came as %s", got)
	}
}

// recorded are the tables that the recordings show, as dumps.
func recorded(t *testing.T) map[string]string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "shared", "conformance", "agents", "frames.jsonl")
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		if os.Getenv("REQUIRE_BACKENDS") == "1" {
			t.Fatal("the recordings are missing: ../shared/conformance/agents")
		}
		t.Skip("no recordings in ../shared/conformance/agents")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dumps := map[string]string{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var line struct {
			Scenario, Dir string
			JSON          struct {
				Result struct {
					Rows map[string]json.RawMessage
				}
			}
			Text string
		}
		if !bytes.Contains(lines.Bytes(), []byte("cf_agents_jobs")) || json.Unmarshal(lines.Bytes(), &line) != nil || json.Unmarshal([]byte(line.Text), &line.JSON) != nil || line.JSON.Result.Rows == nil {
			continue
		}
		rows, err := json.Marshal(line.JSON.Result.Rows)
		if err != nil {
			t.Fatal(err)
		}
		dumps[line.Scenario] = `{"tables":` + string(rows) + `,"storage":{"cf_agents:schema_version":14,"cf_agents:queue_schema_version":1,"blob":{"$base64":"AA=="}}}`
	}
	if lines.Err() != nil || len(dumps) < 4 {
		t.Fatalf("%d recordings, %v", len(dumps), lines.Err())
	}
	return dumps
}

// TestReserved: what belongs to the SDK itself is kept and never run.
func TestReserved(t *testing.T) {
	dump := `{"tables":{"cf_agents_jobs":[
	 {"id":"cf:keep-alive","capability":"host","fn":"x","time":1,"payload":"not json","retry_options":null,"created_at":1},
	 {"id":"cf:housekeeping","capability":"scheduler","fn":"x","time":1,"payload":null,"retry_options":null,"created_at":1},
	 {"id":"w","capability":"workflow","fn":"x","time":1.5,"payload":null,"retry_options":null,"created_at":1}]},"storage":{"cf_agents_destroy_pending":true}}`
	request := read(t, dump)
	if request.Parts[session.PartJobs] != nil || request.Initialized {
		t.Errorf("%s", request.Parts[session.PartJobs])
	}
	same(t, write(t, record(t, request), cfexport.Jobs), dump)
}

// TestChangedHere: what happened to a job after its import shows in the export, the columns without a meaning here stay.
func TestChangedHere(t *testing.T) {
	r := record(t, read(t, late))
	jobs, err := r.Jobs()
	if err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		jobs[i].Due = jobs[i].Due.Add(1500 * time.Millisecond)
		jobs[i].Run++
		if jobs[i].Type == session.JobQueue {
			jobs[i].Parked, jobs[i].LastError = true, "broken"
		}
	}
	r.Parts[session.PartJobs] = encoded(t, jobs)
	dump := write(t, r, cfexport.Tables)
	all := tables(t, dump)
	interval := find(t, all["cf_agents_schedules"], "i1")
	if interval["time"] != 1795439943.0 || interval["running"] != 0.0 || interval["execution_started_at"] != nil || interval["owner_path_key"] != "root/kid" {
		t.Errorf("%v", interval)
	}
	if len(all["cf_agents_queues"]) != 0 {
		t.Errorf("a parked item would run again: %v", all["cf_agents_queues"])
	}
	back, err := record(t, read(t, dump)).Job("q")
	if err != nil || !back.Parked || back.LastError != "broken" {
		t.Errorf("%+v, %v", back, err)
	}
}

func encoded(t fataler, jobs []session.Job) session.Part {
	t.Helper()
	data, err := session.EncodeJobs(jobs)
	if err != nil {
		t.Fatal(err)
	}
	return session.Part{Data: data}
}

// TestQueueTimesRise: the SDK orders its queue by time alone.
func TestQueueTimesRise(t *testing.T) {
	var jobs []session.Job
	at := time.UnixMilli(5000).UTC()
	for i := range 5 {
		jobs = append(jobs, session.Job{ID: fmt.Sprint(9 - i), Type: session.JobQueue, Callback: "c", Due: at, CreatedAt: at, Run: 1})
	}
	r := &session.Record{Parts: map[session.PartName]session.Part{session.PartJobs: encoded(t, jobs)}}
	last := 0.0
	for i, row := range tables(t, write(t, r, cfexport.Jobs))["cf_agents_jobs"] {
		if row["id"] != fmt.Sprint(9-i) || row["time"].(float64) <= last {
			t.Errorf("row %d: %v", i, row)
		}
		last = row["time"].(float64)
	}
}

func TestInitialized(t *testing.T) {
	for state, want := range map[string]bool{
		`{}`: true, `null`: true, `{"counter":1}`: true, `{"inferenceContext":{}}`: false, `{"inferenceContext":{"agentId":""}}`: false,
		`{"inferenceContext":{"agentId":"a"}}`: true, `{"metadata":{"agentId":"a"}}`: true, `{"behaviorType":"think"}`: false, `{"metadata":null}`: false,
	} {
		quoted, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, `{"tables":{"cf_agents_state":[{"id":"cf_state_row_id","state":`+string(quoted)+`}]}}`).Initialized; got != want {
			t.Errorf("%s: %v", state, got)
		}
	}
	if read(t, `{"tables":{}}`).Initialized {
		t.Error("nothing is initialized")
	}
}

func TestFaults(t *testing.T) {
	job := func(columns string) string {
		return `{"tables":{"cf_agents_schedules":[{"id":"s","callback":"secret","type":"delayed","payload":null,"time":1,"created_at":1` + columns + `}]}}`
	}
	for dump, want := range map[string]string{
		`[`:                          "not JSON",
		`[]`:                         "not JSON: no {…} at byte 0",
		`{}`:                         "tables is missing",
		`{"tables":{},"x":1}`:        `unknown member "x"`,
		`{"tables":{},"tables":{}}`:  "tables comes twice",
		`{"tables":{"a":[],"a":[]}}`: `table "a" comes twice`,
		`{"tables":{"a":[1]}}`:       `table "a": row 0 is not an object`,
		`{"tables":{},"storage":1}`:  "storage: not JSON",
		`{"tables":{"cf_agents_state":[{"id":1}]}}`:                                                                  "table cf_agents_state, row 0: column id is not text",
		`{"tables":{"cf_agents_state":[{"id":"cf_state_row_id","state":"{secret"}]}}`:                                "table cf_agents_state, row 0: column state: not JSON",
		`{"tables":{"cf_agents_state":[{"id":"cf_state_row_id","state":"1"},{"id":"cf_state_row_id","state":"1"}]}}`: "row 1: id comes twice",
		`{"tables":{"cf_agents_state":[{"id":"cf_state_row_id","state":"1","x":1}]}}`:                                "has columns besides",
		`{"tables":{"full_conversations":[{"id":"default","messages":" {}"}]}}`:                                      "column messages is not an array",
		`{"tables":{"cf_agents_mcp_servers":[{"id":"a"},{"id":"a"}]}}`:                                               "id is missing or comes twice",
		`{"tables":{"vibesdk_parked_jobs":[{"id":"a","type":"queue"}]}}`:                                             "is not a parked item",
		job(`,"time":2`):                                                     `column "time" comes twice`,
		job(`,"delayInSeconds":"x"`):                                         "column delayInSeconds is not a number",
		job(`,"retry_options":"[]"`):                                         "column retry_options is not a retry policy",
		job(`,"cron":{"$base64":""}`):                                        "column cron is not text",
		strings.Replace(job(""), `"time":1`, `"time":1.5`, 1):                "column time is not a whole number",
		strings.Replace(job(""), `"payload":null`, `"payload":"{secret"`, 1): "column payload: not JSON",
		strings.Replace(job(""), `delayed`, `queue`, 1):                      "column type must not be queue",
	} {
		_, err := cfexport.Read(strings.NewReader(dump))
		if err == nil || !strings.HasPrefix(err.Error(), "dump: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", dump, err, want)
		}
	}
	if _, err := cfexport.Read(strings.NewReader(strings.Repeat(" ", cfexport.MaxDump+1))); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
	for name, part := range map[session.PartName]string{session.PartTables: `{`, session.PartJobs: `[{"due":1}]`, session.PartMCPServers: `{`} {
		r := &session.Record{Parts: map[session.PartName]session.Part{name: {Data: []byte(part)}}}
		if err := cfexport.Write(&bytes.Buffer{}, r, cfexport.Jobs); err == nil {
			t.Errorf("a damaged part %s was exported", name)
		}
	}
}
