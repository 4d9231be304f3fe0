package firestoresession

import (
	"context"
	"errors"
	"io"
	"net/url"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// outgoing adds what the service routes calls by, which the generated client does only for some of them.
func (d *Driver) outgoing(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx,
		"google-cloud-resource-prefix", d.database,
		"x-goog-request-params", "project_id="+url.QueryEscape(d.o.Project)+"&database_id="+url.QueryEscape(d.o.Database))
}

func (d *Driver) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(d.outgoing(ctx), d.o.Timeout)
}

// commit sends writes as one transaction, once, and returns the update time of the first.
func (d *Driver) commit(ctx context.Context, writes []*pb.Write) (*timestamppb.Timestamp, error) {
	ctx, cancel := d.call(ctx)
	defer cancel()
	response, err := d.client.Commit(ctx, &pb.CommitRequest{Database: d.database, Writes: writes})
	if err != nil {
		return nil, err
	}
	if results := response.GetWriteResults(); len(results) > 0 && results[0].GetUpdateTime() != nil {
		return results[0].GetUpdateTime(), nil
	}
	return response.GetCommitTime(), nil
}

// get reads documents, all as they were at one time: readTime, or now when it is nil. Those that do not exist are not in
// the answer. With a mask only these fields are read.
func (d *Driver) get(ctx context.Context, names, mask []string, readTime *timestamppb.Timestamp) (map[string]*pb.Document, *timestamppb.Timestamp, error) {
	ctx, cancel := d.call(ctx)
	defer cancel()
	request := &pb.BatchGetDocumentsRequest{Database: d.database, Documents: names}
	if mask != nil {
		request.Mask = &pb.DocumentMask{FieldPaths: mask}
	}
	if readTime != nil {
		request.ConsistencySelector = &pb.BatchGetDocumentsRequest_ReadTime{ReadTime: readTime}
	}
	stream, err := d.client.BatchGetDocuments(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	docs := make(map[string]*pb.Document, len(names))
	var at *timestamppb.Timestamp
	for {
		response, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return docs, at, nil
		case err != nil:
			return nil, nil, err
		}
		at = response.GetReadTime()
		if doc := response.GetFound(); doc != nil {
			docs[doc.GetName()] = doc
		}
	}
}

// query returns the documents that a query selects.
func (d *Driver) query(ctx context.Context, q *pb.StructuredQuery) ([]*pb.Document, error) {
	ctx, cancel := d.call(ctx)
	defer cancel()
	stream, err := d.client.RunQuery(ctx, &pb.RunQueryRequest{Parent: d.documents, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: q}})
	if err != nil {
		return nil, err
	}
	var docs []*pb.Document
	for {
		response, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return nil, err
		}
		if doc := response.GetDocument(); doc != nil {
			docs = append(docs, doc)
		}
	}
}
