package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway/client"
)

// TestConsoleMendsADeadLetter goes the way of a person from a letter to an app that runs, by forms alone.
func TestConsoleMendsADeadLetter(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	v := w.visitor(t)
	_, letter := w.reused(t, "mended")
	path := "/dead-letters/" + letter.ID
	payload := string(letterOf(t, w, letter.ID).Data)

	// What could not be published is refused, and what was written is kept.
	broken := strings.Replace(payload, `"staticDir":"."`, `"staticDir":"/etc"`, 1)
	v.post(t, path+"/edit", "version", "1", "payload", broken, "action", "save").has(t, 400, "data.staticDir", "/etc&#34;")
	if got := letterOf(t, w, letter.ID); got.Version != 1 || string(got.Data) != payload {
		t.Errorf("a refused edit changed the letter: %+v", got)
	}
	renewed := v.post(t, path+"/edit", "version", "1", "payload", payload, "action", "renew")
	renewed.has(t, 200, `<td class="sign">−</td><td><code>  &#34;requestId&#34;: &#34;mended&#34;,`, `<td class="sign">&#43;</td>`)
	edited := between(t, renewed.body, `name="payload" rows="16" spellcheck="false" autocomplete="off">`+"\n", "</textarea>")
	edited = strings.NewReplacer("&#34;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(edited)
	if strings.Contains(edited, `"mended"`) || !strings.Contains(edited, "<script>alert(1)") {
		t.Errorf("the form has %s", edited)
	}
	v.post(t, path+"/edit", "version", "7", "payload", edited, "action", "save").has(t, 200, "was changed since you opened the page", "&lt;script&gt;")
	v.post(t, path+"/edit", "version", "1", "payload", strings.ReplaceAll(edited, "\n", "\r\n"), "action", "save").leads(t, "/console"+path+"?done=saved")
	if got := letterOf(t, w, letter.ID); !got.Edited || got.Version != 2 || strings.Contains(string(got.Data), "\\r") {
		t.Errorf("after the edit: %+v %s", got, got.Data)
	}
	v.get(t, path+"?done=saved").has(t, 200, "The payload was saved", "there is none yet")
	v.get(t, path+"?done=%3Cb%3E").has(t, 200, "!class=\"notice\"")

	v.post(t, path+"/replay").has(t, 200, "It would be published", "Replay now")
	if got := letterOf(t, w, letter.ID); got.State != client.LetterOpen {
		t.Errorf("a trial made the letter %s", got.State)
	}
	v.post(t, path+"/replay", "confirm", "1").leads(t, "/console"+path+"?done=replayed")
	id := between(t, v.get(t, path).body, `<a href="/console/sandboxes/`, `"`)
	last, err := w.client.Sandboxes().Follow(within(t), id, client.Progress{})
	if err != nil || last.State != client.Ready {
		t.Fatalf("%+v, %v", last, err)
	}
	if _, _, body := w.get(t, last.PreviewURL, "/"); !strings.Contains(body, "<h1>second</h1>") {
		t.Errorf("the preview shows %s", body)
	}
	v.post(t, path+"/replay", "confirm", "1").has(t, 409, "Nothing was replayed")
	v.post(t, path+"/edit", "version", "3", "payload", edited, "action", "save").has(t, 409, "was replayed")
}

// letterOf reads a letter by the API.
func letterOf(t testing.TB, w *world, id string) client.DeadLetter {
	t.Helper()
	l, err := w.client.DeadLetters().Get(within(t), id)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// between is the text between two others, the first time they stand there.
func between(t testing.TB, text, before, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, before)
	out, _, ended := strings.Cut(rest, after)
	if !found || !ended {
		t.Fatalf("no %q … %q in\n%s", before, after, text)
	}
	return out
}

// TestConsoleActsOnManyLetters sets aside, releases, replays and purges, each tried first.
func TestConsoleActsOnManyLetters(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	v, ctx := w.visitor(t), within(t)
	if _, err := w.client.Sessions().Put(ctx, "s", client.PartState, []byte(`{"n":1}`), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 { // a key that is not the session's is given up for good
		m := client.Message{
			Data:        fmt.Appendf(nil, `{"mutationId":"m%d","sessionId":"s","kind":"PUT","payload":"{\"n\":%d}"}`, n, n+2),
			OrderingKey: "other", Attributes: map[string]string{"ce-id": fmt.Sprint("e", n)},
		}
		if _, err := w.client.Publish(ctx, "state-mutations", m); err != nil {
			t.Fatal(err)
		}
	}
	letters := lettersOf(t, w, client.LetterOpen, 3)

	one := "/dead-letters/" + letters[0].ID
	v.get(t, one).has(t, 200, "part state", "the part as it is now", `<code>  &#34;n&#34;: 1</code>`, `<code>  &#34;n&#34;: 2</code>`, "e0")
	v.post(t, one+"/park", "note", "ask <Ann>").leads(t, "/console"+one+"?done=parked")
	v.get(t, one).has(t, 200, "ask &lt;Ann&gt;", "Release", "!Try a replay")
	v.post(t, one+"/park", "note", strings.Repeat("x", 5000)).has(t, 400, "at most 4096 bytes")
	v.post(t, "/dead-letters/replay", "subscription", "statewriter").has(t, 200, "2 letters would be published again", "Replay now", `name="subscription" value="statewriter"`)
	lettersOf(t, w, client.LetterOpen, 2)
	// They fail again, as what is wrong with them was not mended: that may be known before the replay has noted them as replayed.
	v.post(t, "/dead-letters/replay", "subscription", "statewriter", "confirm", "1").has(t, 200, "What the replay did", letters[1].ID, letters[2].ID, "!Replay now")
	for letterOf(t, w, letters[1].ID).Replays+letterOf(t, w, letters[2].ID).Replays < 2 {
		time.Sleep(10 * time.Millisecond) // as in lettersOf
	}
	lettersOf(t, w, client.LetterOpen, 2)
	v.post(t, one+"/release").leads(t, "/console"+one+"?done=released")
	v.post(t, "/dead-letters/purge").has(t, 422, "Choose a state")
	v.post(t, "/dead-letters/purge", "state", "open").has(t, 200, "3 letters would be gone for good")
	lettersOf(t, w, client.LetterOpen, 3)
	v.post(t, one+"/purge").has(t, 422, "Tick the box")
	v.post(t, one+"/purge", "confirm", "1").leads(t, "/console/dead-letters?done=purged")
	v.post(t, one+"/purge", "confirm", "1").has(t, 404)
	v.post(t, "/dead-letters/purge", "state", "open", "confirm", "1").has(t, 200, "2 letters are gone for good")
	lettersOf(t, w, client.LetterOpen, 0)
	v.get(t, "/dead-letters").has(t, 200, "That is how it should be")
}

// lettersOf waits until so many letters are in a state, and returns them in their order.
func lettersOf(t testing.TB, w *world, state client.LetterState, n int) (list []client.DeadLetter) {
	t.Helper()
	for ctx := within(t); ; time.Sleep(10 * time.Millisecond) { // a list does not tell of what is filed
		list = nil
		for l, err := range w.client.DeadLetters().List(ctx, client.DeadLetterQuery{States: []client.LetterState{state}}) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, l)
		}
		if len(list) == n {
			return list
		}
	}
}

// TestConsoleActsOnTheRest stops a sandbox, forgets charges, changes an app and turns schedules.
func TestConsoleActsOnTheRest(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	v, ctx := w.visitor(t), within(t)

	s := w.run(t, static("ended-by-hand"))
	v.post(t, "/sandboxes/"+s.ID+"/stop").leads(t, "/console/sandboxes/"+s.ID+"?done=stopping")
	for last := range w.client.Sandboxes().Watch(ctx, s.ID) {
		s = last
	}
	if s.State != client.Deleted {
		t.Errorf("the sandbox is %s", s.State)
	}
	v.get(t, "/sandboxes/"+s.ID).has(t, 200, "It has ended", "!Stop and delete", "!<iframe")

	charge := client.LimitCharge{Limit: "appCreation", Identifier: "user:7", N: 2}
	if _, err := w.client.Limits().Increment(ctx, charge); err != nil {
		t.Fatal(err)
	}
	v.get(t, "/limits?limit=appCreation&identifier=user:7").has(t, 200, ">1</b> left")
	v.post(t, "/limits/reset", "limit", "appCreation", "identifier", "user:7").has(t, 422, "Nothing was reset")
	v.post(t, "/limits/reset", "limit", "appCreation", "identifier", "user:7", "confirm", "1").leads(t, "/console/limits?done=reset")
	v.get(t, "/limits?limit=appCreation&identifier=user:7").has(t, 200, ">3</b> left")

	app := client.Deployment{
		Name: "shop", Place: client.Place{Target: "process", Endpoint: "127.0.0.1:9000"}, Visibility: "public", Owner: "ann",
		Rollout: &client.Rollout{Place: client.Place{Target: "process", Endpoint: "127.0.0.1:9001"}, Weight: 5},
	}
	if _, err := w.client.Deployments().Put(ctx, app, nil); err != nil {
		t.Fatal(err)
	}
	v.post(t, "/deployments/shop", "version", "1", "visibility", "private", "weight", "25").leads(t, "/console/deployments/shop?done=deployed")
	got, err := w.client.Deployments().Get(ctx, "shop")
	if err != nil || got.Visibility != "private" || got.Rollout == nil || got.Rollout.Weight != 25 || got.Owner != "ann" || got.Endpoint != "127.0.0.1:9000" {
		t.Errorf("%+v, %v", got, err)
	}
	v.post(t, "/deployments/shop", "version", "1", "visibility", "public", "weight", "50").has(t, 409, "Somebody else was faster")
	v.post(t, "/deployments/shop", "version", "2", "visibility", "public", "weight", "half").has(t, 422, "weight: must be")
	v.post(t, "/deployments/shop", "version", "2", "visibility", "public", "weight", "101").has(t, 400, "weight")
	v.post(t, "/deployments/shop", "version", "2", "visibility", "odd", "weight", "5").has(t, 400, "visibility")
	if again, err := w.client.Deployments().Get(ctx, "shop"); err != nil || again.Version != 2 {
		t.Errorf("refused changes made version %d, %v", again.Version, err)
	}
	v.get(t, "/deployments/shop").has(t, 200, `<option value="private" selected>`, "25 %")

	v.post(t, "/schedules/stale-sandboxes/pause").leads(t, "/console/schedules?done=paused")
	v.get(t, "/schedules").has(t, 200, "Resume stale-sandboxes", "!Pause stale-sandboxes", "Pause due-jobs", "paused")
	v.post(t, "/schedules/stale-sandboxes/resume").leads(t, "/console/schedules?done=resumed")
	v.get(t, "/schedules").has(t, 200, "Pause stale-sandboxes")
	v.post(t, "/schedules/stale-sandboxes/run").leads(t, "/console/schedules?done=published")
	for _, path := range []string{"/schedules/none/pause", "/schedules/none/resume", "/schedules/none/run"} {
		v.post(t, path).has(t, 404, "There is no such schedule")
	}
}
