package firestoresession

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"vibesdk-gcp/platform/session"
)

// Commit implements [session.Driver].
func (d *Driver) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	base, err := d.base(ctx, next)
	if err != nil {
		return nil, err
	}
	p, err := d.plan(next, base)
	if err != nil {
		return nil, err
	}
	up, err := d.upload(ctx, p)
	if err != nil {
		return nil, wrap(ctx, "upload parts of", next.ID, err)
	}
	writes := append([]*pb.Write{d.headWrite(p)}, up.last...)
	for _, id := range p.superfluous() {
		writes = append(writes, d.chunkDelete(id))
	}
	updated, err := d.commit(ctx, writes)
	switch {
	case err == nil:
		return p.record(updatedAt(updated))
	case refused(err, next.Commit == 1):
		d.abandon(ctx, up)
		return nil, conflict(next)
	default:
		return nil, wrap(ctx, "commit", next.ID, err)
	}
}

// base returns the layout of the commit that next replaces: from its tag, or read when it has none.
func (d *Driver) base(ctx context.Context, next *session.Record) (layout, error) {
	if next.Commit == 1 {
		return layout{}, nil
	}
	was := *next
	was.Commit--
	if l, ok := layoutOf(&was); ok {
		return l, nil
	}
	l, found, err := d.peek(ctx, next.ID)
	if err != nil {
		return layout{}, wrap(ctx, "look up", next.ID, err)
	}
	if !found || l.Commit != next.Commit-1 {
		return layout{}, conflict(next)
	}
	return l, nil
}
