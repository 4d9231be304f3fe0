package cloudflaresession

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/platform/session"
)

// commitHeader is the header of a commit's frame. The first blob is the ring, the others are the parts to write, in order.
type commitHeader struct {
	Base    string       `json:"base"`
	BaseTag string       `json:"baseTag"`
	Commit  string       `json:"commit"`
	Tag     string       `json:"tag"`
	Head    string       `json:"head"`
	Present bool         `json:"present"`
	Alarm   string       `json:"alarm"`
	Expires string       `json:"expires"`
	Parts   []commitPart `json:"parts"`
}

type commitPart struct {
	Name  session.PartName `json:"name"`
	Tag   string           `json:"tag"`
	Write bool             `json:"write"`
}

// encode returns a record as it is once stored, and the frame that stores it.
func encode(next *session.Record) (stored *session.Record, body [][]byte, err error) {
	if next.Commit < 1 {
		return nil, nil, fmt.Errorf("commit is %d, the least is 1", next.Commit)
	}
	if size := next.Size(); size > session.MaxRecord {
		return nil, nil, tooLarge("the record", size, session.MaxRecord)
	}
	head := newHead(next.Head)
	text, err := json.Marshal(head)
	if err != nil {
		return nil, nil, err
	}
	ring, err := next.Ring.MarshalBinary()
	if err != nil {
		return nil, nil, err
	}
	stored = &session.Record{Head: head.head(), Ring: next.Ring, Parts: make(map[session.PartName]session.Part, len(next.Parts)), Tag: newTag()}
	h := commitHeader{
		Base: strconv.FormatInt(next.Commit-1, 10), Commit: strconv.FormatInt(next.Commit, 10), Tag: stored.Tag,
		Head: string(text), Present: next.Present, Alarm: sortKey(next.AlarmAt), Expires: sortKey(next.ExpiresAt),
		Parts: make([]commitPart, 0, len(next.Parts)),
	}
	begins := next.Commit == 1
	if !begins {
		h.BaseTag = next.Tag
	}
	blobs := [][]byte{ring}
	for _, name := range slices.Sorted(maps.Keys(next.Parts)) {
		p := next.Parts[name]
		if len(p.Data) > session.MaxPart {
			return nil, nil, tooLarge("part "+string(name), len(p.Data), session.MaxPart)
		}
		write := p.Tag == "" || begins
		if write {
			p.Tag = newTag()
			blobs = append(blobs, p.Data)
		}
		stored.Parts[name] = p
		h.Parts = append(h.Parts, commitPart{Name: name, Tag: p.Tag, Write: write})
	}
	body, err = cfclient.EncodeFrame(h, blobs...)
	return stored, body, err
}

// recordHeader is the header of a record's frame. The first blob is the ring, the others are the parts that were not known,
// in order.
type recordHeader struct {
	Tag   string `json:"tag"`
	Head  string `json:"head"`
	Parts []struct {
		Name session.PartName `json:"name"`
		Tag  string           `json:"tag"`
		Sent bool             `json:"sent"`
	} `json:"parts"`
}

// knowledge is what need not be read again.
type knowledge struct {
	tag   string
	parts map[string]session.Part // by tag
}

func newKnowledge(known *session.Record) knowledge {
	k := knowledge{parts: map[string]session.Part{}}
	if known == nil {
		return k
	}
	k.tag = known.Tag
	for _, p := range known.Parts {
		if p.Tag != "" {
			k.parts[p.Tag] = p
		}
	}
	return k
}

func (k knowledge) header() http.Header {
	h := http.Header{}
	if k.tag != "" {
		h.Set("If-None-Match", `"`+k.tag+`"`)
	}
	if len(k.parts) > 0 {
		h.Set("X-Bridge-Known", strings.Join(slices.Sorted(maps.Keys(k.parts)), ","))
	}
	return h
}

// decode makes a record of a frame and of what is known.
func (k knowledge) decode(id string, body []byte) (*session.Record, error) {
	var h recordHeader
	blobs, err := cfclient.DecodeFrame(body, &h)
	if err != nil {
		return nil, err
	}
	var head headJSON
	if err := json.Unmarshal([]byte(h.Head), &head); err != nil {
		return nil, fmt.Errorf("the head: %w", err)
	}
	if head.ID != id {
		return nil, fmt.Errorf("the record is that of %q", head.ID)
	}
	next := func() (blob []byte, err error) {
		if len(blobs) == 0 {
			return nil, fmt.Errorf("the frame has too few blobs")
		}
		blob, blobs = blobs[0], blobs[1:]
		return blob, nil
	}
	r := &session.Record{Head: head.head(), Parts: make(map[session.PartName]session.Part, len(h.Parts)), Tag: h.Tag}
	ring, err := next()
	if err != nil {
		return nil, err
	}
	if err := r.Ring.UnmarshalBinary(ring); err != nil {
		return nil, err
	}
	for _, p := range h.Parts {
		if !p.Sent {
			known, ok := k.parts[p.Tag]
			if !ok {
				return nil, fmt.Errorf("part %s was left out and is not known", p.Name)
			}
			r.Parts[p.Name] = known
			continue
		}
		data, err := next()
		if err != nil {
			return nil, err
		}
		r.Parts[p.Name] = session.Part{Data: data, Tag: p.Tag}
	}
	return r, nil
}

// newTag draws a tag.
func newTag() string {
	return strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // tags are compared, not kept secret
}
