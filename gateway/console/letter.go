package console

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

const (
	// maxEdit is the longest payload that a form edits, in bytes.
	maxEdit = 512 << 10
	// payloadLength is how much of a payload a page shows, in bytes.
	payloadLength = 256 << 10
)

// letterView is one dead letter.
type letterView struct {
	client.DeadLetter

	// Text is the payload for people, Rest how many bytes of it are left out.
	Text string
	Rest int
	// Base64 tells that the payload is no text, and that Edit has it in that form.
	Base64 bool
	// Edit is what the form to edit has. Editable is false for a payload that is too large for it, and for a letter that was replayed.
	Edit     string
	Editable bool
	// Compared is what saving the form would change; nil when that was not asked for.
	Compared *diff
	// Fault is why saving failed.
	Fault   string
	Related *related
	Writes  bool
	// Trial is what a replay would do; nil when that was not asked for.
	Trial *client.ReplayResult
	// Advice says what people do about a letter like this.
	Advice string
}

func (v *visit) letter() error {
	view, err := v.openLetter()
	if err != nil {
		return err
	}
	return v.showLetter(http.StatusOK, view)
}

func (v *visit) openLetter() (letterView, error) {
	letter, err := v.api.DeadLetters().Get(v.r.Context(), v.r.PathValue("id"))
	if err != nil {
		return letterView{}, err
	}
	payload, err := letter.Payload()
	if err != nil {
		return letterView{}, err
	}
	view := letterView{DeadLetter: letter, Writes: v.may(auth.DeadLettersWrite)}
	view.Edit, view.Base64 = editable(payload)
	view.Text, view.Rest = shown(view.Edit, payloadLength)
	view.Editable = len(view.Edit) <= maxEdit && letter.State != client.LetterReplayed
	view.Related, err = v.relatedTo(letter, payload)
	view.Advice = advice(letter, view.Related)
	return view, err
}

func (v *visit) showLetter(status int, view letterView) error {
	s := shell{Section: "/dead-letters", Title: "Dead letter", Data: view}
	if view.Compared == nil && view.Trial == nil && view.Fault == "" {
		s.Every = 5
	}
	return v.showAs(status, "letter", s)
}

// editable is a payload as people edit it: JSON with indents, other text as it is, and bytes in base64.
func editable(payload []byte) (text string, encoded bool) {
	if !utf8.Valid(payload) || bytes.ContainsRune(payload, 0) {
		return base64.StdEncoding.EncodeToString(payload), true
	}
	return pretty(payload), false
}

// payloadOf is the payload of an edited text. Browsers send lines with two characters at their ends.
func payloadOf(text string, encoded bool) ([]byte, error) {
	if encoded {
		return base64.StdEncoding.DecodeString(text)
	}
	data := bytes.ReplaceAll([]byte(text), []byte("\r\n"), []byte("\n"))
	var compact bytes.Buffer
	if json.Compact(&compact, data) == nil {
		return compact.Bytes(), nil
	}
	return data, nil
}

// editLetter compares what the form has with the letter, gives the request in it a new id, or saves it.
func (v *visit) editLetter() error {
	if err := parseForm(v.w, v.r, largeForm); err != nil {
		return err
	}
	view, err := v.openLetter()
	if err != nil {
		return err
	}
	form := v.r.PostForm
	before := view.Edit
	view.Edit = string(bytes.ReplaceAll([]byte(form.Get("payload")), []byte("\r\n"), []byte("\n")))
	action := form.Get("action")
	if action == "renew" {
		if view.Edit, err = renew(view.Edit); err != nil {
			view.Fault = err.Error()
			return v.showLetter(http.StatusUnprocessableEntity, view)
		}
	}
	if form.Get("version") != number(view.Version) {
		view.Fault = "The letter was changed since you opened the page. What you wrote is kept below; compare it with what is there now."
		action = "compare"
	}
	payload, err := payloadOf(view.Edit, view.Base64)
	if err != nil {
		view.Fault = "The payload is not standard base64."
		return v.showLetter(http.StatusUnprocessableEntity, view)
	}
	if action != "save" {
		view.Edit, _ = editable(payload)
		found := compare("the payload as it is", "with your changes", before, view.Edit)
		view.Compared = &found
		return v.showLetter(http.StatusOK, view)
	}
	_, err = v.api.DeadLetters().Edit(v.r.Context(), view.ID, client.DeadLetterEdit{Payload: payload, Version: view.Version})
	switch {
	case err == nil:
		return v.done("saved", "dead-letters", view.ID)
	case errors.Is(err, client.ErrInvalid), errors.Is(err, client.ErrConflict), errors.Is(err, client.ErrTooLarge):
		view.Fault = problem(err).detail
		return v.showLetter(problem(err).status, view)
	default:
		return err
	}
}

// replayLetter tries a replay, and does it when that was confirmed.
func (v *visit) replayLetter() error {
	if err := parseForm(v.w, v.r, smallForm); err != nil {
		return err
	}
	id, dry := v.r.PathValue("id"), v.r.PostForm.Get("confirm") == ""
	q := pick(id)
	q.States = nil // what is parked or was replayed is left out by the API
	var result *client.ReplayResult
	_, err := v.api.DeadLetters().Replay(v.r.Context(), client.DeadLetterReplay{DeadLetterQuery: q, DryRun: dry}, func(r client.ReplayResult) error {
		result = &r
		return nil
	})
	switch {
	case err != nil:
		return err
	case result == nil:
		return &pageError{http.StatusConflict, "Nothing was replayed", "The letter is not open: it was replayed already, or set aside."}
	case result.Outcome == "replayed":
		return v.done("replayed", "dead-letters", id)
	}
	view, err := v.openLetter()
	if err != nil {
		return err
	}
	view.Trial = result
	return v.showLetter(http.StatusOK, view)
}

func (v *visit) parkLetter() error {
	if err := parseForm(v.w, v.r, smallForm); err != nil {
		return err
	}
	id := v.r.PathValue("id")
	if _, err := v.api.DeadLetters().Park(v.r.Context(), id, v.r.PostForm.Get("note")); err != nil {
		return err
	}
	return v.done("parked", "dead-letters", id)
}

func (v *visit) releaseLetter() error {
	id := v.r.PathValue("id")
	if _, err := v.api.DeadLetters().Release(v.r.Context(), id); err != nil {
		return err
	}
	return v.done("released", "dead-letters", id)
}

func (v *visit) purgeLetter() error {
	if err := parseForm(v.w, v.r, smallForm); err != nil {
		return err
	}
	if v.r.PostForm.Get("confirm") == "" {
		return &pageError{http.StatusUnprocessableEntity, "Nothing was purged", "Tick the box to confirm: what is purged does not come back."}
	}
	n, err := v.api.DeadLetters().Purge(v.r.Context(), pick(v.r.PathValue("id")), false)
	if err != nil {
		return err
	}
	if n == 0 {
		return &pageError{http.StatusNotFound, "There is no such letter", ""}
	}
	return v.done("purged", "dead-letters")
}
