package firestoresession

import (
	"context"
	"fmt"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"vibesdk-gcp/platform/session"
)

// List implements [session.Driver].
func (d *Driver) List(ctx context.Context, q session.Query) ([]session.Head, error) {
	field, by := fieldByID, time.Time{}
	switch {
	case !q.DueBy.IsZero():
		field, by = fieldByAlarm, q.DueBy
	case !q.ExpiredBy.IsZero():
		field, by = fieldByExpiry, q.ExpiredBy
	}
	s := d.selectFrom(sessionCollection, headFields...)
	s.OrderBy = ascending(field)
	s.Limit = limitOf(q.Limit)
	var after []byte
	if by.IsZero() {
		after = []byte(q.After)
	} else {
		s.Where = less(field, bytesValue(timeKey(by.Add(time.Microsecond))))
		if !q.AfterTime.IsZero() {
			after = sortKey(q.AfterTime, q.After)
		}
	}
	if len(after) > 0 {
		s.StartAt = &pb.Cursor{Values: []*pb.Value{bytesValue(after)}}
	}
	docs, err := d.query(ctx, s)
	if err != nil {
		return nil, wrapAll(ctx, "list", err)
	}
	heads := make([]session.Head, 0, len(docs))
	for _, doc := range docs {
		id, err := unescape(doc.GetName()[len(d.name(sessionCollection, "")):])
		if err != nil {
			return nil, wrapAll(ctx, "list", err)
		}
		h, err := decodeHead(id, doc)
		if err != nil {
			return nil, wrapAll(ctx, "list", err)
		}
		heads = append(heads, h)
	}
	return heads, nil
}

func (d *Driver) selectFrom(collection string, names ...string) *pb.StructuredQuery {
	q := &pb.StructuredQuery{
		From:   []*pb.StructuredQuery_CollectionSelector{{CollectionId: d.o.Prefix + collection}},
		Select: &pb.StructuredQuery_Projection{},
	}
	for _, name := range names {
		q.Select.Fields = append(q.Select.Fields, &pb.StructuredQuery_FieldReference{FieldPath: name})
	}
	return q
}

func less(field string, than *pb.Value) *pb.StructuredQuery_Filter {
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
		Field: &pb.StructuredQuery_FieldReference{FieldPath: field},
		Op:    pb.StructuredQuery_FieldFilter_LESS_THAN,
		Value: than,
	}}}
}

func ascending(field string) []*pb.StructuredQuery_Order {
	return []*pb.StructuredQuery_Order{{
		Field:     &pb.StructuredQuery_FieldReference{FieldPath: field},
		Direction: pb.StructuredQuery_ASCENDING,
	}}
}

func limitOf(n int) *wrapperspb.Int32Value { return wrapperspb.Int32(int32(n)) }

func wrapAll(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s sessions: %w: %w", what, ctx.Err(), err)
	}
	return fmt.Errorf("%s sessions: %w", what, err)
}
