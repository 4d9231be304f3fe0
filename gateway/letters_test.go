package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlletter"
	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/schemas"
)

var parkedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// letters starts a gateway with dead letters: count ticks, one mutation of a session, and one that nobody can replay.
func letters(t *testing.T, count int) (*fixture, *events.LetterBox) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "letters.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	var box *events.LetterBox
	f := start(t, func(o *gateway.Options) {
		if box, err = events.NewLetterBox(sqlletter.New(db), o.Publisher, events.LetterOptions{Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		o.Letters = box
	})
	dead := []events.DeadLetter{{
		Message: events.Message{ID: "mutation", Type: events.StateMutations.Type, Source: "s", Key: "s1", Time: parkedAt,
			Data: []byte(`{"mutationId":"m1","sessionId":"s1","kind":"PUT","payload":"1"}`)},
		Topic: "state-mutations", Subscription: "statewriter", Reason: "store is away", Attempts: 20, ParkedAt: parkedAt,
	}, {
		Message: events.Message{ID: "odd", Data: []byte{0xff}}, Subscription: "none", Reason: "odd", ParkedAt: parkedAt.Add(time.Second), Stack: "f (f.go:1)",
	}}
	for n := range count {
		dead = append(dead, events.DeadLetter{
			Message: events.Message{ID: fmt.Sprint("tick", n), Type: events.CleanupTicks.Type, Source: "s", Time: parkedAt, Data: []byte(`{ "kind": "DUE_JOBS" }`)},
			Topic:   "cleanup-ticks", Subscription: "janitor", Reason: "slow", Attempts: 20, ParkedAt: parkedAt.Add(time.Duration(n+1) * time.Hour),
		})
	}
	if err := box.File(t.Context(), dead...); err != nil {
		t.Fatal(err)
	}
	return f, box
}

func TestLettersAreListedAndShown(t *testing.T) {
	t.Parallel()
	f, _ := letters(t, 5)
	var ids []string
	after := ""
	for range 10 {
		var page gateway.DeadLetterPage
		got := f.call(t, "GET", "/v1/dead-letters?limit=3&after="+after, "")
		if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.StatusCode != http.StatusOK {
			t.Fatal(got.StatusCode, got.body)
		}
		for _, l := range page.DeadLetters {
			ids = append(ids, l.MessageID)
			if l.Data != nil || l.DataBase64 != "" || l.Stack != "" {
				t.Errorf("the list has the payload of %s", l.MessageID)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "mutation odd tick0 tick1 tick2 tick3 tick4" {
		t.Errorf("listed %q", got)
	}
	for query, want := range map[string]int{
		"topic=cleanup-ticks": 5, "subscription=none": 1, "key=s1": 1, "reason=AWAY": 1, "messageId=tick3": 1, "state=open,parked": 7,
		"state=parked": 0, "from=2026-01-02T05:04:05Z": 4, "until=2026-01-02T03:04:06Z": 1, "type=vibesdk.cleanup.tick.v1&newest=1": 5,
	} {
		var page gateway.DeadLetterPage
		if got := f.call(t, "GET", "/v1/dead-letters?"+query, ""); json.Unmarshal([]byte(got.body), &page) != nil || len(page.DeadLetters) != want {
			t.Errorf("%s: %s, want %d", query, got.body, want)
		}
	}
	for query, want := range map[string]string{
		"state=gone": "state", "limit=0": "limit", "from=yesterday": "from", "after=x": "cursor", "newest=maybe": "newest", "reason=%ff": "reason",
	} {
		if got := f.call(t, "GET", "/v1/dead-letters?"+query, ""); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s, want 400 about %s", query, got.StatusCode, got.body, want)
		}
	}

	got := f.call(t, "GET", "/v1/dead-letters/"+events.LetterID("janitor", "tick0"), "")
	if got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"data":{"kind":"DUE_JOBS"}`) {
		t.Errorf("show: %d %s", got.StatusCode, got.body)
	}
	if got := f.call(t, "GET", "/v1/dead-letters/"+events.LetterID("none", "odd"), ""); !strings.Contains(got.body, `"dataBase64":"/w=="`) || !strings.Contains(got.body, "f.go:1") {
		t.Errorf("show: %d %s", got.StatusCode, got.body)
	}
	if got := f.call(t, "GET", "/v1/dead-letters/none", ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("a letter that is not there: %d", got.StatusCode)
	}
	if got := f.call(t, "GET", "/v1/dead-letters:count?state=open", ""); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"subscription":"janitor","state":"open","count":5`) {
		t.Errorf("count: %d %s", got.StatusCode, got.body)
	}
}

func TestLettersAreEdited(t *testing.T) {
	t.Parallel()
	f, box := letters(t, 0)
	id := events.LetterID("statewriter", "mutation")
	path := "/v1/dead-letters/" + id
	before, err := box.Letter(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	good := `{"mutationId":"m1","sessionId":"s1","kind":"PUT","payload":"1e3"}`
	for body, want := range map[string]string{
		`{"data":{"mutationId":"m1","sessionId":"s1","kind":"NO","payload":"2"}}`: "kind",
		`{"data":{"kind":"PUT"}}`:        `"data.mutationId"`,
		`{}`:                             "neither the payload nor the id",
		`{"data":1,"dataBase64":"MQ=="}`: "given twice",
		`{"dataBase64":"?"}`:             "base64",
		`{"dataBase64":""}`:              "JSON",
		`{"payload":1}`:                  "unknown field",
		`{"messageId":"` + strings.Repeat("x", 1025) + `"}`: "1025 bytes",
	} {
		if got := f.call(t, "PATCH", path, body); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, want) {
			t.Errorf("%.60s: %d %s, want 400 about %s", body, got.StatusCode, got.body, want)
		}
	}
	if got := f.call(t, "PATCH", path, `{"version":7,"data":`+good+`}`); got.StatusCode != http.StatusConflict {
		t.Errorf("at another version: %d %s", got.StatusCode, got.body)
	}
	if after, err := box.Letter(t.Context(), id); err != nil || after.Version != before.Version || string(after.Message.Data) != string(before.Message.Data) {
		t.Errorf("refused edits changed the letter: %+v, %v", after, err)
	}
	if got := f.call(t, "PATCH", path, `{"version":1,"data":`+good+`}`); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"edited":true`) {
		t.Errorf("edit: %d %s", got.StatusCode, got.body)
	}
	if after, err := box.Letter(t.Context(), id); err != nil || string(after.Message.Data) != good {
		t.Errorf("stored %s, %v; want it byte for byte", after.Message.Data, err)
	}
	if got := f.call(t, "POST", path+":park", `{"note":"asked"}`); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"state":"parked"`) || !strings.Contains(got.body, "asked") {
		t.Errorf("park: %d %s", got.StatusCode, got.body)
	}
	if got := f.call(t, "POST", path+":release", ""); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"state":"open"`) {
		t.Errorf("release: %d %s", got.StatusCode, got.body)
	}
	if got := f.call(t, "POST", path+":burn", ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("burn: %d %s", got.StatusCode, got.body)
	}
}

func TestLettersAreReplayed(t *testing.T) {
	t.Parallel()
	f, _ := letters(t, 3)
	lines := func(body string) (results []map[string]any) {
		t.Helper()
		got := f.call(t, "POST", "/v1/dead-letters:replay", body)
		if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/jsonl" {
			t.Fatal(got.StatusCode, got.body)
		}
		in := bufio.NewScanner(strings.NewReader(got.body))
		for in.Scan() {
			var line map[string]any
			if err := json.Unmarshal(in.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			results = append(results, line)
		}
		return results
	}
	dry := lines(`{"dryRun":true}`)
	if len(dry) != 6 || dry[0]["outcome"] != "would-replay" || dry[1]["outcome"] != "refused" || dry[1]["error"] == "" || dry[5]["done"] != true || dry[5]["replayed"] != 4.0 {
		t.Errorf("dry run: %v", dry)
	}
	if len(f.outbox.sent) > 0 {
		t.Errorf("a dry run published %+v", f.outbox.sent)
	}
	done := lines(`{"topic":"cleanup-ticks","rate":1000}`)
	if len(done) != 4 || done[0]["messageId"] != "tick0" || done[0]["outcome"] != "replayed" || done[3]["replayed"] != 3.0 {
		t.Errorf("replay: %v", done)
	}
	if len(f.outbox.sent) != 3 || f.outbox.sent[0].ID != "tick0" || f.outbox.sent[0].Replays() != 1 || string(f.outbox.sent[0].Data) != `{ "kind": "DUE_JOBS" }` {
		t.Errorf("published %+v", f.outbox.sent)
	}
	for body, want := range map[string]string{
		`{"states":["parked"]}`: "parked ones are not replayed", `{"rate":-1}`: "rate", `{"limit":-1}`: "limit", `{"from":1}`: "body", `{"filter":{}}`: "unknown field",
	} {
		if got := f.call(t, "POST", "/v1/dead-letters:replay", body); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s, want 400 about %s", body, got.StatusCode, got.body, want)
		}
	}
}

// TestReplayEndsWhenTheServerStops says so in the last line, and leaves the rest open.
func TestReplayEndsWhenTheServerStops(t *testing.T) {
	t.Parallel()
	f, box := letters(t, 10)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+"/v1/dead-letters:replay", strings.NewReader(`{"topic":"cleanup-ticks","rate":0.001}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	var last string
	for in.Scan() {
		if last = in.Text(); strings.Contains(last, `"tick0"`) {
			f.gateway.Drain()
		}
	}
	if !strings.Contains(last, `"done":false`) || !strings.Contains(last, `"replayed":1`) || !strings.Contains(last, "the server is stopping") {
		t.Errorf("the last line is %s", last)
	}
	open, _, err := box.Letters(t.Context(), events.LetterQuery{States: []events.LetterState{events.LetterOpen}, Topic: "cleanup-ticks"})
	if err != nil || len(open) != 9 {
		t.Errorf("%d letters are open, %v; want the other nine", len(open), err)
	}
}

func TestLettersArePurged(t *testing.T) {
	t.Parallel()
	f, _ := letters(t, 3)
	if got := f.call(t, "POST", "/v1/dead-letters:purge", `{"topic":"cleanup-ticks"}`); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, "states") {
		t.Errorf("without states: %d %s", got.StatusCode, got.body)
	}
	for _, body := range []string{`{"states":["open"],"topic":"cleanup-ticks","dryRun":true}`, `{"states":["open"],"topic":"cleanup-ticks"}`} {
		if got := f.call(t, "POST", "/v1/dead-letters:purge", body); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"purged":3`) {
			t.Errorf("%s: %d %s", body, got.StatusCode, got.body)
		}
	}
	if got := f.call(t, "GET", "/v1/dead-letters:count", ""); strings.Contains(got.body, "janitor") {
		t.Errorf("left: %s", got.body)
	}
}

func TestWithoutLetters(t *testing.T) {
	t.Parallel()
	f := start(t)
	if got := f.call(t, "GET", "/v1/dead-letters", ""); got.StatusCode != http.StatusNotFound || !strings.Contains(got.body, "there is no /v1/dead-letters") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}
