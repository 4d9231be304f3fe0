package firestoresession

import (
	"context"
	"fmt"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vibesdk-gcp/platform/session"
)

// peekFrom is how many bytes a known record has in its document, from which on asking whether it changed is worth a call of
// its own.
const peekFrom = 32 << 10

// Load implements [session.Driver].
func (d *Driver) Load(ctx context.Context, id string, known *session.Record) (*session.Record, error) {
	if was, ok := layoutOf(known); ok && was.inline() >= peekFrom {
		switch is, found, err := d.peek(ctx, id); {
		case err != nil:
			return nil, wrap(ctx, "load", id, err)
		case !found:
			return nil, notFound(id)
		case is.Updated == was.Updated:
			return known, nil
		}
	}
	name := d.sessionName(id)
	docs, readTime, err := d.get(ctx, []string{name}, nil, nil)
	switch {
	case err != nil:
		return nil, wrap(ctx, "load", id, err)
	case docs[name] == nil:
		return nil, notFound(id)
	}
	r, err := d.decode(ctx, id, docs[name], known, readTime)
	return r, wrap(ctx, "load", id, err)
}

// peek reads the layout of a session without its content.
func (d *Driver) peek(ctx context.Context, id string) (l layout, found bool, err error) {
	name := d.sessionName(id)
	docs, _, err := d.get(ctx, []string{name}, peekFields, nil)
	if err != nil || docs[name] == nil {
		return layout{}, false, err
	}
	return layoutFrom(docs[name]), true, nil
}

// decode makes a record of a session's document. Parts that known has are taken from it. The others' chunks are read as
// they were at readTime, so that those that were replaced since are still found.
func (d *Driver) decode(ctx context.Context, id string, doc *pb.Document, known *session.Record, readTime *timestamppb.Timestamp) (*session.Record, error) {
	l := layoutFrom(doc)
	if was, ok := layoutOf(known); ok && was.Updated == l.Updated {
		return known, nil
	}
	h, err := decodeHead(id, doc)
	if err != nil {
		return nil, err
	}
	r := &session.Record{Head: h, Parts: make(map[session.PartName]session.Part, len(l.Parts))}
	if r.Tag, err = l.encode(); err != nil {
		return nil, err
	}
	if err := d.decodeRing(doc, &r.Ring); err != nil {
		return nil, err
	}
	for name, p := range l.Parts {
		if known != nil && known.ID == id && p.Tag != "" && known.Parts[name].Tag == p.Tag {
			r.Parts[name] = known.Parts[name]
			delete(l.Parts, name)
		}
	}
	chunks, err := d.readChunks(ctx, id, l.Parts, readTime)
	if err != nil {
		return nil, err
	}
	for name, p := range l.Parts {
		key := escape(string(name))
		b := blobFrom(doc.GetFields()[fieldParts].GetMapValue().GetFields()[key].GetMapValue().GetFields())
		if b.data = doc.GetFields()[fieldData].GetMapValue().GetFields()[key].GetBytesValue(); p.Chunks > 0 {
			b.data = chunks[name]
		}
		text, err := d.codec.decode(b)
		if err != nil {
			return nil, fmt.Errorf("stored part %q: %w", name, err)
		}
		r.Parts[name] = session.Part{Data: text, Tag: p.Tag}
	}
	return r, nil
}

func (d *Driver) decodeRing(doc *pb.Document, ring *session.Ring) error {
	f := doc.GetFields()[fieldRing].GetMapValue().GetFields()
	b := blobFrom(f)
	b.data = f[fieldData].GetBytesValue()
	text, err := d.codec.decode(b)
	if err != nil {
		return fmt.Errorf("stored ring: %w", err)
	}
	if err := ring.UnmarshalBinary(text); err != nil {
		return fmt.Errorf("stored ring: %w", err)
	}
	return nil
}

// blobFrom reads all of a blob but its data.
func blobFrom(f fields) blob {
	return blob{size: int(f[fieldSize].GetIntegerValue()), zstd: f[fieldZstd].GetBooleanValue(), sum: uint32(f[fieldSum].GetIntegerValue())}
}

func (b blob) fields() fields {
	return fields{fieldSize: integer(int64(b.size)), fieldZstd: boolean(b.zstd), fieldSum: integer(int64(b.sum)), fieldStored: integer(int64(len(b.data)))}
}
