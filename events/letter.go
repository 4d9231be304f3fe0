package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// LetterState is what became of a letter.
type LetterState string

// The states of a letter.
const (
	// LetterOpen waits for a person.
	LetterOpen LetterState = "open"
	// LetterParked was set aside by a person, with a note: it is not replayed until it is released.
	LetterParked LetterState = "parked"
	// LetterReplayed was published again. It is open again when that is given up, too.
	LetterReplayed LetterState = "replayed"
)

// LetterStates lists the states.
func LetterStates() []LetterState { return []LetterState{LetterOpen, LetterParked, LetterReplayed} }

// Limits of letters.
const (
	// MaxNote is the longest note in bytes.
	MaxNote = 4096
	// MaxLetters is the most letters of one page, and MaxLetterBytes the most bytes of their payloads, beyond the first.
	MaxLetters     = 1000
	MaxLetterBytes = 32 << 20
)

// Letter is a dead letter that was filed, and what people did with it.
type Letter struct {
	DeadLetter

	// ID names the letter: made of the subscription and the message's first id, so that filing a letter twice is filing it once.
	ID    string
	State LetterState
	// Replays is how often the message was published again. What is published next carries one more.
	Replays int
	// Note is why it was set aside.
	Note string
	// Edited tells that a person changed the payload or the id, and that this was not published yet.
	Edited bool
	// Version counts the changes of the letter; the first is 1.
	Version int64
	// FirstParkedAt is when the message was given up for the first time. Letters are listed and replayed by it: the messages
	// of a key are given up in the order in which they were published.
	FirstParkedAt time.Time
	// Seq orders letters with the same FirstParkedAt. The driver gives it.
	Seq int64
	// FiledAt and ChangedAt are when it was filed first and changed last.
	FiledAt, ChangedAt time.Time
}

// LetterID names the letter of a message that a subscription gave up.
func LetterID(subscription, messageID string) string {
	sum := sha256.Sum256([]byte(subscription + "\x00" + messageID))
	return hex.EncodeToString(sum[:16])
}

// NewLetter makes the letter to file for a dead letter. It is never refused: what nobody can replay must not be lost either.
func NewLetter(d DeadLetter, now time.Time) Letter {
	m := d.Message.Clone()
	for _, text := range []*string{&m.ID, &m.Type, &m.Source, &m.Key, &d.Topic, &d.Subscription, &d.Reason, &d.Stack} {
		*text = readable(*text)
	}
	m.Time, m.NotBefore, m.Attempt = stored(m.Time), time.Time{}, 0
	d.Message, d.ParkedAt = m, stored(d.ParkedAt)
	now = stored(now)
	return Letter{
		DeadLetter: d, ID: LetterID(d.Subscription, d.Message.ID), State: LetterOpen, Replays: d.Message.Replays(), Version: 1,
		FirstParkedAt: d.ParkedAt, FiledAt: now, ChangedAt: now,
	}
}

// stored is a time as every store keeps it.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Refile decides what becomes of a filed letter when its message is given up again, and whether that changes it. It is for drivers,
// which call it with the letter locked.
//
// The broker delivers a dead letter at least once, and a consumer may give the same message up twice, so most of what comes
// again says nothing new. New is only the failure of a replay: of one that the letter knows of and took for the end, or of a later
// one, whose replayer died before it could note it.
func Refile(filed, again Letter) (Letter, bool) {
	if again.FirstParkedAt.Before(filed.FirstParkedAt) && again.Replays == 0 {
		filed.FirstParkedAt = again.FirstParkedAt // the earlier of two that say the same
		filed.Version++
		return filed, true
	}
	failed := again.Replays > filed.Replays || again.Replays == filed.Replays && filed.State == LetterReplayed
	if !failed {
		return filed, false
	}
	next := again
	next.ID, next.Seq, next.FirstParkedAt, next.FiledAt, next.Version = filed.ID, filed.Seq, filed.FirstParkedAt, filed.FiledAt, filed.Version+1
	next.Note = filed.Note
	if filed.State == LetterParked { // whoever set it aside did not ask for this replay
		next.State = filed.State
	}
	if filed.Edited { // the edit is newer than what failed
		next.Edited, next.Message = true, filed.Message
	}
	return next, true
}

// LetterQuery chooses letters. An empty field chooses all; every field that is set must hold.
type LetterQuery struct {
	IDs    []string
	States []LetterState
	// Topic, Subscription, Type, Key and MessageID are compared as they are.
	Topic, Subscription, Type, Key, MessageID string
	// Reason is contained in the letter's reason, without regard to the case of letters.
	Reason string
	// From and Until bound when the message was given up last: From ≤ ParkedAt < Until.
	From, Until time.Time

	// Limit is the most letters of a page: 1 to [MaxLetters], 0 is 100. A page of large payloads has fewer.
	Limit int
	// After is the [Letter.Cursor] of the last letter of the page before; empty is the first page.
	After string
	// Newest lists the newest first.
	Newest bool
}

// Cursor is the place of a letter in a list.
func (l Letter) Cursor() string { return fmt.Sprintf("%d-%d", l.FirstParkedAt.UnixMicro(), l.Seq) }

// Position reads After.
func (q LetterQuery) Position() (firstParkedAt time.Time, seq int64, err error) {
	var micros int64
	if n, err := fmt.Sscanf(q.After, "%d-%d", &micros, &seq); err != nil || n != 2 {
		return time.Time{}, 0, fmt.Errorf("after %.60q is no cursor of a list", q.After)
	}
	return time.UnixMicro(micros).UTC(), seq, nil
}

// checked applies the defaults and returns every fault, joined, as ErrInvalid.
func (q LetterQuery) checked() (LetterQuery, error) {
	var faults []string
	if q.Limit == 0 {
		q.Limit = 100
	}
	if q.Limit < 1 || q.Limit > MaxLetters {
		faults = append(faults, fmt.Sprintf("limit is %d, it must be 1 to %d", q.Limit, MaxLetters))
	}
	for _, s := range q.States {
		if !slices.Contains(LetterStates(), s) {
			faults = append(faults, fmt.Sprintf("state %.40q is none of open, parked, replayed", s))
		}
	}
	if len(q.IDs) > MaxLetters {
		faults = append(faults, fmt.Sprintf("ids are %d, the limit is %d", len(q.IDs), MaxLetters))
	}
	if q.After != "" {
		if _, _, err := q.Position(); err != nil {
			faults = append(faults, err.Error())
		}
	}
	for field, text := range map[string]string{
		"topic": q.Topic, "subscription": q.Subscription, "type": q.Type, "key": q.Key, "message id": q.MessageID, "reason": q.Reason,
		"ids": strings.Join(q.IDs, ""),
	} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			faults = append(faults, field+" is not UTF-8 text without NUL")
		}
	}
	if !q.From.IsZero() && !q.Until.IsZero() && !q.From.Before(q.Until) {
		faults = append(faults, fmt.Sprintf("from %s is not before until %s", q.From.Format(time.RFC3339), q.Until.Format(time.RFC3339)))
	}
	if len(faults) > 0 {
		slices.Sort(faults)
		return q, fmt.Errorf("query of dead letters %w: %s", ErrInvalid, strings.Join(faults, "; "))
	}
	return q, nil
}

// LetterCount is how many letters of one subscription are in a state.
type LetterCount struct {
	Topic, Subscription string
	State               LetterState
	Count               int
	// Oldest is when the first of them was given up last.
	Oldest time.Time
}
