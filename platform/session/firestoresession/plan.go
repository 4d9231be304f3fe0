package firestoresession

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"vibesdk-gcp/platform/session"
)

// headBytes is how much a session's document holds of its ring and parts. The service takes 1 MiB with all names and numbers.
const headBytes = 800_000

// plan is how one commit is written.
type plan struct {
	next *session.Record
	base layout
	tag  string
	ring blob
	// parts are those to write, and places where all parts are afterwards.
	parts  map[session.PartName]blob
	places map[session.PartName]place
}

// plan decides which parts to write, and which of them in chunks. It fails with ErrTooLarge only.
func (d *Driver) plan(next *session.Record, base layout) (*plan, error) {
	p := &plan{
		next: next, base: base, tag: strconv.FormatInt(next.Commit, 10) + "." + rand.Text(),
		parts: map[session.PartName]blob{}, places: make(map[session.PartName]place, len(next.Parts)),
	}
	ring, err := next.Ring.MarshalBinary()
	if err != nil {
		return nil, err
	}
	p.ring = blob{data: ring, size: len(ring)}
	if p.ring = d.codec.encode(ring); len(p.ring.data) > headBytes {
		return nil, fmt.Errorf("%w: the ring of %q is %d bytes, it may be %d", session.ErrTooLarge, next.ID, len(p.ring.data), headBytes)
	}
	inline := len(p.ring.data)
	for name, part := range next.Parts {
		if kept, ok := base.Parts[name]; ok && part.Tag != "" && part.Tag == kept.Tag {
			p.places[name] = kept
		} else {
			p.write(d.codec, name)
		}
		inline += p.places[name].inline()
	}
	for inline > headBytes {
		name := p.largest()
		if _, ok := p.parts[name]; !ok {
			p.write(d.codec, name)
		}
		out := p.places[name]
		inline -= out.Stored
		out.Chunks = chunksOf(out.Stored)
		p.places[name] = out
	}
	return p, nil
}

func (p *plan) write(c *codec, name session.PartName) {
	b := c.encode(p.next.Parts[name].Data)
	p.parts[name] = b
	p.places[name] = place{Tag: p.tag, Stored: len(b.data)}
}

// largest names the part that goes to chunks next: those that are written anyway come first.
func (p *plan) largest() session.PartName {
	rank := func(name session.PartName) int {
		size := p.places[name].inline()
		if _, ok := p.parts[name]; ok && size > 0 {
			return size + headBytes
		}
		return size
	}
	return slices.MaxFunc(slices.Sorted(maps.Keys(p.places)), func(a, b session.PartName) int { return rank(a) - rank(b) })
}

// headWrite is the write that makes the commit: a condition on what is stored, and all that changed in the document.
func (d *Driver) headWrite(p *plan) *pb.Write {
	chunked := false
	parts, data := fields{}, fields{}
	for name, at := range p.places {
		chunked = chunked || at.Chunks > 0
		b, ok := p.parts[name]
		if !ok {
			continue
		}
		key, f := escape(string(name)), b.fields()
		f[fieldTag] = text(at.Tag)
		if at.Chunks > 0 {
			f[fieldChunks] = integer(int64(at.Chunks))
		} else {
			data[key] = bytesValue(b.data)
		}
		parts[key] = mapping(f)
	}
	head := encodeHead(p.next.Head, chunked)
	ring := p.ring.fields()
	ring[fieldData] = bytesValue(p.ring.data)
	head[fieldRing], head[fieldParts], head[fieldData] = mapping(ring), mapping(parts), mapping(data)
	w := &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: d.sessionName(p.next.ID), Fields: head}}}
	if p.next.Commit == 1 {
		w.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}}
		return w
	}
	w.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_UpdateTime{UpdateTime: p.base.updated()}}
	mask := slices.Clone(writtenFields)
	for name := range p.parts {
		mask = append(mask, partPath(fieldParts, name), partPath(fieldData, name))
	}
	for name := range p.base.Parts {
		if _, ok := p.places[name]; !ok {
			mask = append(mask, partPath(fieldParts, name), partPath(fieldData, name))
		}
	}
	w.UpdateMask = &pb.DocumentMask{FieldPaths: mask}
	return w
}

// chunks returns the ids and data of the chunks to write, in the order of ids.
func (p *plan) chunks() (ids []string, data [][]byte) {
	for _, name := range slices.Sorted(maps.Keys(p.parts)) {
		rest := p.parts[name].data
		for _, id := range chunkIDs(p.next.ID, name, p.places[name]) {
			n := min(chunkBytes, len(rest))
			ids, data = append(ids, id), append(data, rest[:n])
			rest = rest[n:]
		}
	}
	return ids, data
}

// superfluous are the chunks that nothing refers to after the commit.
func (p *plan) superfluous() []string {
	var ids []string
	for name, was := range p.base.Parts {
		if p.places[name].Tag != was.Tag {
			ids = append(ids, chunkIDs(p.next.ID, name, was)...)
		}
	}
	return ids
}

// record is what Commit returns: next, as it is stored.
func (p *plan) record(updated [2]int64) (*session.Record, error) {
	r := *p.next
	r.CreatedAt, r.UpdatedAt, r.ExpiresAt, r.AlarmAt = micros(r.CreatedAt), micros(r.UpdatedAt), micros(r.ExpiresAt), micros(r.AlarmAt)
	r.Parts = make(map[session.PartName]session.Part, len(p.places))
	for name, at := range p.places {
		r.Parts[name] = session.Part{Data: p.next.Parts[name].Data, Tag: at.Tag}
	}
	var err error
	r.Tag, err = layout{Commit: r.Commit, Updated: updated, Parts: p.places}.encode()
	return &r, err
}
