package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

// maxAtOnce is how many letters a form of the list replays at most. More is work for vibectl, which shows progress.
const maxAtOnce = 1000

// letterFilter is what a list of dead letters is chosen by, as its form has it.
type letterFilter struct {
	State, Subscription, Topic, Type, Key, MessageID, Reason, From, Until string
}

// filterOf reads a query or a form.
func filterOf(in url.Values) letterFilter {
	return letterFilter{
		State: in.Get("state"), Subscription: in.Get("subscription"), Topic: in.Get("topic"), Type: in.Get("type"), Key: in.Get("key"),
		MessageID: in.Get("messageId"), Reason: in.Get("reason"), From: in.Get("from"), Until: in.Get("until"),
	}
}

// Fields are what is set, by the names of the form.
func (f letterFilter) Fields() map[string]string {
	fields := map[string]string{
		"state": f.State, "subscription": f.Subscription, "topic": f.Topic, "type": f.Type, "key": f.Key,
		"messageId": f.MessageID, "reason": f.Reason, "from": f.From, "until": f.Until,
	}
	for name, value := range fields {
		if value == "" {
			delete(fields, name)
		}
	}
	return fields
}

// Query is the filter as a part of an address.
func (f letterFilter) Query() url.Values {
	query := url.Values{}
	for name, value := range f.Fields() {
		query.Set(name, value)
	}
	return query
}

// Narrow tells whether less common fields are set, whose part of the form is open then.
func (f letterFilter) Narrow() bool {
	return f.Topic+f.Type+f.Key+f.MessageID+f.From+f.Until != ""
}

func (f letterFilter) query() (client.DeadLetterQuery, error) {
	q := client.DeadLetterQuery{
		Topic: f.Topic, Subscription: f.Subscription, Type: f.Type, Key: f.Key, MessageID: f.MessageID, Reason: f.Reason, Newest: true,
	}
	if f.State != "" {
		q.States = []client.LetterState{client.LetterState(f.State)}
	}
	for name, field := range map[string]struct {
		text string
		to   *time.Time
	}{"from": {f.From, &q.From}, "until": {f.Until, &q.Until}} {
		if field.text == "" {
			continue
		}
		at, err := timeOf(field.text)
		if err != nil {
			return q, &pageError{http.StatusBadRequest, "The filter cannot be read", name + ": must be a time in UTC like 2026-01-31T12:00."}
		}
		*field.to = at
	}
	return q, nil
}

// timeOf reads a time as browsers send it, in UTC, or as programs write it.
func timeOf(text string) (time.Time, error) {
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	return time.Parse(time.RFC3339Nano, text)
}

// lettersView is the list of dead letters.
type lettersView struct {
	Filter  letterFilter
	Letters []client.DeadLetter
	Counts  []client.DeadLetterCount
	Total   int
	States  []client.LetterState
	First   bool
	// Next is the address of the page that follows.
	Next   string
	Writes bool
	// Result is what became of a replay or a purge of the list, or would become of it.
	Result *lettersResult
}

var letterStates = []client.LetterState{client.LetterOpen, client.LetterParked, client.LetterReplayed}

func (v *visit) letters() error {
	return v.showLetters(filterOf(v.r.URL.Query()), v.r.URL.Query().Get("after"), nil)
}

func (v *visit) showLetters(filter letterFilter, after string, result *lettersResult) error {
	q, err := filter.query()
	if err != nil {
		return err
	}
	page, err := v.api.DeadLetters().Page(v.r.Context(), q, after, pageLength)
	if err != nil {
		return err
	}
	view := lettersView{
		Filter: filter, Letters: page.Items, States: letterStates, First: after == "", Writes: v.may(auth.DeadLettersWrite), Result: result,
	}
	if view.Counts, err = v.api.DeadLetters().Count(v.r.Context(), q); err != nil {
		return err
	}
	for _, c := range view.Counts {
		view.Total += c.Count
	}
	if page.Next != "" {
		query := filter.Query()
		query.Set("after", page.Next)
		view.Next = Prefix + "/dead-letters?" + query.Encode()
	}
	s := shell{Section: "/dead-letters", Title: "Dead letters", Data: view}
	if result == nil {
		s.Every = 10
	}
	return v.showAs(http.StatusOK, "letters", s)
}

// lettersResult is what a form of the list did, or in a dry run would do.
type lettersResult struct {
	// Verb is replay or purge.
	Verb    string
	DryRun  bool
	Summary client.ReplaySummary
	Lines   []client.ReplayResult
	// More is how many lines are left out, Purged how many letters are gone.
	More, Purged int
	Fault        string
}

// resultLines is how many letters a result names.
const resultLines = 100

// letterAction reads a form of the list: the filter, and whether it is only tried.
func (v *visit) letterAction() (letterFilter, client.DeadLetterQuery, bool, error) {
	if err := parseForm(v.w, v.r, smallForm); err != nil {
		return letterFilter{}, client.DeadLetterQuery{}, false, err
	}
	filter := filterOf(v.r.PostForm)
	q, err := filter.query()
	return filter, q, v.r.PostForm.Get("confirm") == "", err
}

func (v *visit) replayLetters() error {
	filter, q, dry, err := v.letterAction()
	if err != nil {
		return err
	}
	result := lettersResult{Verb: "replay", DryRun: dry}
	result.Summary, err = v.api.DeadLetters().Replay(v.r.Context(), client.DeadLetterReplay{DeadLetterQuery: q, Limit: maxAtOnce, DryRun: dry},
		func(line client.ReplayResult) error {
			if len(result.Lines) < resultLines {
				result.Lines = append(result.Lines, line)
			} else {
				result.More++
			}
			return nil
		})
	if err != nil {
		if v.r.Context().Err() != nil {
			return err
		}
		result.Fault = problem(err).Error()
	}
	return v.showLetters(filter, "", &result)
}

func (v *visit) purgeLetters() error {
	filter, q, dry, err := v.letterAction()
	if err != nil {
		return err
	}
	if len(q.States) == 0 {
		return &pageError{http.StatusUnprocessableEntity, "Nothing was purged", "Choose a state in the filter first: nobody should purge what waits for him by leaving something out."}
	}
	result := lettersResult{Verb: "purge", DryRun: dry}
	if result.Purged, err = v.api.DeadLetters().Purge(v.r.Context(), q, dry); err != nil {
		return err
	}
	return v.showLetters(filter, "", &result)
}

// pick chooses one letter, whatever its state.
func pick(id string) client.DeadLetterQuery {
	return client.DeadLetterQuery{IDs: []string{id}, States: slices.Clone(letterStates)}
}
