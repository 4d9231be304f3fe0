package session

import (
	"bytes"
	"fmt"
	"maps"
	"time"

	"vibesdk-gcp/internal/jsondoc"
)

// folding is a batch of mutations in the making: the record as it was, and the documents that changed, parsed once
// for the whole batch.
type folding struct {
	base  *Record
	head  Head
	now   time.Time
	parts map[PartName]*part
}

// fold begins a batch on a record; base may be one with Commit 0, for a session that is not stored.
func fold(base *Record, now time.Time) *folding {
	f := &folding{base: base, head: base.Head, now: now.UTC().Truncate(time.Microsecond), parts: make(map[PartName]*part, len(base.Parts))}
	for name, p := range base.Parts {
		f.parts[name] = &part{was: p}
	}
	return f
}

// apply applies one mutation. source is the record that a Clone copies, nil when it was not found. ref is
// Outcome.Ref. On an error nothing has changed; it wraps ErrConflict, ErrInitialized, ErrNotFound, ErrInvalid or ErrTooLarge.
func (f *folding) apply(m Mutation, source *Record) (ref string, err error) {
	head, parts := f.head, maps.Clone(f.parts)
	if ref, err = f.change(m, source); err == nil {
		err = f.limits()
	}
	if err != nil {
		f.head, f.parts = head, parts
		for _, p := range f.parts {
			if p.doc != nil {
				p.doc.Rollback()
			}
		}
		return "", err
	}
	for _, p := range f.parts {
		if p.doc != nil {
			p.doc.Commit()
		}
	}
	f.head.Version++
	return ref, nil
}

// version is the version after the mutations applied so far.
func (f *folding) version() int64 { return f.head.Version }

// result encodes the outcome of the batch: base with Version, Initialized, Present, CreatedAt, AlarmAt and Parts brought up to date. Changed parts have no tag, the others keep theirs.
// Commit, UpdatedAt, ExpiresAt and Ring are left to the caller. The driver's tag of base goes along.
func (f *folding) result() *Record {
	r := &Record{Head: f.head, Ring: f.base.Ring, Tag: f.base.Tag, Parts: make(map[PartName]Part, len(f.parts))}
	for name, p := range f.parts {
		was, known := f.base.Parts[name]
		now := p.was
		if p.doc != nil {
			now = Part{Data: p.doc.Bytes()}
		}
		// A change that leaves the same text needs no writing.
		if known && now.Tag == "" && bytes.Equal(was.Data, now.Data) {
			now = was
		}
		r.Parts[name] = now
	}
	if p, ok := f.parts[PartJobs]; !ok {
		r.AlarmAt = time.Time{}
	} else if jobs, ok := p.doc.(*jobList); ok {
		r.AlarmAt = jobs.alarm()
	}
	return r
}

func (f *folding) limits() error {
	total := 0
	for name, p := range f.parts {
		n := p.len()
		if n > MaxPart {
			return fmt.Errorf("%w: part %s would be %d bytes, the limit is %d", ErrTooLarge, name, n, MaxPart)
		}
		total += n
	}
	if total > MaxRecord {
		return fmt.Errorf("%w: the session would be %d bytes, the limit is %d", ErrTooLarge, total, MaxRecord)
	}
	return nil
}

func (f *folding) change(m Mutation, source *Record) (ref string, err error) {
	if err := f.expect(m); err != nil {
		return "", err
	}
	if m.Kind == Clone {
		return "", f.clone(m, source)
	}
	if m.Kind == Destroy {
		f.destroy()
		return "", nil
	}
	if err := jsondoc.Check(m.Payload); err != nil {
		return "", rejected("payload", err)
	}
	switch m.Kind {
	case Initialize:
		return "", f.initialize(m)
	case Put, Merge, Patch, Append:
		return "", f.edit(m)
	case Import:
		return "", f.load(m)
	case Schedule, Cancel, Enqueue, Dequeue, StartJob, FinishJob:
		return f.job(m)
	default:
		return "", fmt.Errorf("%w: kind %d is unknown", ErrInvalid, m.Kind)
	}
}

func (f *folding) expect(m Mutation) error {
	if m.Expected == nil {
		return nil
	}
	version := f.head.Version
	if !f.head.Present {
		version = 0
	}
	if version != *m.Expected {
		return fmt.Errorf("%w: version is %d, expected %d", ErrConflict, version, *m.Expected)
	}
	return nil
}

// appear makes the session present.
func (f *folding) appear() {
	if !f.head.Present {
		f.head.Present, f.head.CreatedAt = true, f.now
	}
}

func (f *folding) destroy() {
	f.head.Present, f.head.Initialized = false, false
	clear(f.parts)
}

func (f *folding) initialize(m Mutation) error {
	if m.Part != "" && m.Part != PartState {
		return fmt.Errorf("%w: part must be %s for INITIALIZE", ErrInvalid, PartState)
	}
	if f.head.Initialized {
		return fmt.Errorf("%w at version %d or before", ErrInitialized, f.head.Version)
	}
	f.appear()
	f.head.Initialized = true
	f.put(PartState, m.Payload)
	return nil
}

// put gives a part a new text. The caller of the store may use its memory again, so the text is copied.
func (f *folding) put(name PartName, text []byte) {
	f.parts[name] = &part{was: Part{Data: bytes.Clone(text)}}
}

// edit is Put, Merge, Patch and Append.
func (f *folding) edit(m Mutation) error {
	name := m.Part
	if name == "" {
		name = PartState
	}
	rule := partRules[name]
	if !rule.direct {
		return fmt.Errorf("%w: part %q cannot be changed like this", ErrInvalid, shorten(string(name), 40))
	}
	p := f.parts[name]
	if m.Kind == Put || p == nil && m.Kind == Merge {
		f.put(name, []byte("null"))
	} else if p == nil {
		if m.Kind != Append || rule.begins == "" {
			return fmt.Errorf("%w: there is no part %s", ErrNotFound, name)
		}
		f.put(name, []byte(rule.begins))
	}
	f.appear()
	p = f.parts[name]
	if m.Kind == Put {
		f.put(name, m.Payload)
		return rule.check(name, bytes.TrimLeft(m.Payload, " \t\r\n")[0])
	}
	doc, err := p.json(name)
	if err != nil {
		return err
	}
	switch m.Kind {
	case Merge:
		err = rejected("payload", doc.Merge(m.Payload))
	case Patch:
		err = rejected("payload", doc.Patch(m.Payload))
	default:
		err = rejected("path", doc.Append(m.Path, m.Payload))
	}
	if err != nil {
		return err
	}
	return rule.check(name, doc.Kind())
}

// shorten cuts a text for an error or a record.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most] + "…"
}
