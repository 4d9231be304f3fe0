package firestoresession

import (
	"context"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"vibesdk-gcp/platform/session"
)

// batchBytes is how many bytes of chunks one call carries beside a session's document. The service takes 10 MiB in a call, its
// emulator 4 MiB; what is larger is refused with a code that means overload elsewhere, so it must not be sent.
const batchBytes = 3 * chunkBytes

// upload is what was sent ahead of a commit.
type upload struct {
	// marker is the document that lists the chunks until the commit deletes it. Empty when everything goes with the commit.
	marker string
	chunks []string
	// last are the writes that belong to the commit itself.
	last []*pb.Write
}

// upload sends the chunks ahead when they are too much for the commit's own call. Every call that writes some of them
// demands the marker, and so does the commit: what [Driver.Clean] has begun to remove cannot become part of a session.
func (d *Driver) upload(ctx context.Context, p *plan) (upload, error) {
	ids, data := p.chunks()
	var up upload
	total := 0
	for i := range ids {
		up.last = append(up.last, d.chunkWrite(ids[i], data[i]))
		total += len(data[i])
	}
	if total <= batchBytes {
		return up, nil
	}
	up.marker = d.name(uploadCollection, escape(p.next.ID)+":"+p.tag)
	up.chunks = ids
	marker := d.markerCreate(up.marker, ids, p.next.UpdatedAt)
	var batch []*pb.Write
	size := 0
	for i, w := range up.last {
		if size+len(data[i]) > batchBytes {
			if _, err := d.commit(ctx, append(batch, marker)); err != nil {
				return upload{}, err
			}
			marker, batch, size = d.markerTouch(up.marker, i), nil, 0
		}
		batch, size = append(batch, w), size+len(data[i])
	}
	up.last = batch
	up.last = append(up.last, markerDelete(up.marker)) // which demands the marker as well
	return up, nil
}

func (d *Driver) markerCreate(name string, chunks []string, at time.Time) *pb.Write {
	list := make([]*pb.Value, len(chunks))
	for i, id := range chunks {
		list[i] = text(id)
	}
	return &pb.Write{
		Operation:       &pb.Write_Update{Update: &pb.Document{Name: name, Fields: fields{fieldCreated: moment(at), fieldChunks: array(list)}}},
		CurrentDocument: exists(false),
	}
}

func (d *Driver) markerTouch(name string, batch int) *pb.Write {
	return &pb.Write{
		Operation:       &pb.Write_Update{Update: &pb.Document{Name: name, Fields: fields{fieldTouch: integer(int64(batch))}}},
		UpdateMask:      &pb.DocumentMask{FieldPaths: []string{fieldTouch}},
		CurrentDocument: exists(true),
	}
}

func markerDelete(name string) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Delete{Delete: name}, CurrentDocument: exists(true)}
}

func exists(yes bool) *pb.Precondition {
	return &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: yes}}
}

// abandon removes what was sent ahead of a commit that was refused. Clean does it when this fails.
func (d *Driver) abandon(ctx context.Context, up upload) {
	if up.marker == "" {
		return
	}
	if _, err := d.remove(ctx, up.marker, up.chunks); err != nil {
		d.o.Logger.WarnContext(ctx, "parts of a refused commit are left for the sweep", "marker", up.marker, "error", err)
	}
}

// remove deletes an upload at once: either its commit or this call finds the marker, never both. It reports whether it was
// this one.
func (d *Driver) remove(ctx context.Context, marker string, chunks []string) (bool, error) {
	writes := []*pb.Write{markerDelete(marker)}
	for _, id := range chunks {
		writes = append(writes, d.chunkDelete(id))
	}
	_, err := d.commit(ctx, writes)
	if refused(err, false) {
		return false, nil
	}
	return err == nil, err
}

// Clean implements [session.Cleaner]. What it counts and removes are uploads whose commit never came, each with its chunks. A
// commit that is still on its way then fails with [session.ErrConflict]; before should be hours ago.
func (d *Driver) Clean(ctx context.Context, before time.Time, limit int) (int, error) {
	docs, err := d.abandoned(ctx, before, limit)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, doc := range docs {
		var chunks []string
		for _, v := range doc.GetFields()[fieldChunks].GetArrayValue().GetValues() {
			chunks = append(chunks, v.GetStringValue())
		}
		done, err := d.remove(ctx, doc.GetName(), chunks)
		if err != nil {
			return removed, wrapAll(ctx, "remove an upload", err)
		}
		if done {
			removed++
		}
	}
	return removed, nil
}

// Unreferenced implements [session.Cleaner].
func (d *Driver) Unreferenced(ctx context.Context, before time.Time, limit int) (int, error) {
	docs, err := d.abandoned(ctx, before, limit)
	return len(docs), err
}

// abandoned are the uploads that began before a time and whose commit has not come, the oldest first.
func (d *Driver) abandoned(ctx context.Context, before time.Time, limit int) ([]*pb.Document, error) {
	q := d.selectFrom(uploadCollection, fieldCreated, fieldChunks)
	q.Where = less(fieldCreated, moment(before))
	q.OrderBy = ascending(fieldCreated)
	q.Limit = limitOf(limit)
	docs, err := d.query(ctx, q)
	if err != nil {
		return nil, wrapAll(ctx, "list uploads", err)
	}
	return docs, nil
}

// Remove implements [session.Driver].
func (d *Driver) Remove(ctx context.Context, id string, commit int64) error {
	for {
		l, found, err := d.peek(ctx, id)
		switch {
		case err != nil:
			return wrap(ctx, "remove", id, err)
		case !found:
			return nil
		case l.Commit != commit:
			return conflict(&session.Record{Head: session.Head{ID: id, Commit: commit + 1}})
		}
		writes := []*pb.Write{{
			Operation:       &pb.Write_Delete{Delete: d.sessionName(id)},
			CurrentDocument: &pb.Precondition{ConditionType: &pb.Precondition_UpdateTime{UpdateTime: l.updated()}},
		}}
		for name, p := range l.Parts {
			for _, chunk := range chunkIDs(id, name, p) {
				writes = append(writes, d.chunkDelete(chunk))
			}
		}
		if _, err := d.commit(ctx, writes); !refused(err, false) {
			return wrap(ctx, "remove", id, err)
		}
		// Somebody wrote in between: the next look tells whether it is still this commit.
	}
}
