package firestoresession_test

import (
	"errors"
	"io"
	"testing"

	vkit "cloud.google.com/go/firestore/apiv1"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
)

// client looks at what is stored without the driver.
func client(t testing.TB, o firestoresession.Options) *vkit.Client {
	t.Helper()
	c, err := vkit.NewClient(t.Context(), option.WithEndpoint(o.Endpoint), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func database(o firestoresession.Options) string {
	return "projects/" + o.Project + "/databases/(default)"
}

// count is how many documents a collection has.
func count(t testing.TB, o firestoresession.Options, collection string) int {
	t.Helper()
	c := client(t, o)
	defer c.Close()
	stream, err := c.RunQuery(t.Context(), &pb.RunQueryRequest{
		Parent: database(o) + "/documents",
		QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: &pb.StructuredQuery{
			From:   []*pb.StructuredQuery_CollectionSelector{{CollectionId: collection}},
			Select: &pb.StructuredQuery_Projection{Fields: []*pb.StructuredQuery_FieldReference{{FieldPath: "__name__"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		response, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return n
		case err != nil:
			t.Fatal(err)
		case response.GetDocument() != nil:
			n++
		}
	}
}

// chunks is how many documents hold each part that is not in the session's own.
func chunks(t testing.TB, o firestoresession.Options, r *session.Record) map[session.PartName]int {
	t.Helper()
	c := client(t, o)
	defer c.Close()
	doc, err := c.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: database(o) + "/documents/" + firestoresession.Sessions + "/" + r.ID})
	if err != nil {
		t.Fatal(err)
	}
	n := map[session.PartName]int{}
	for name, v := range doc.GetFields()["parts"].GetMapValue().GetFields() {
		n[session.PartName(name)] = int(v.GetMapValue().GetFields()["chunks"].GetIntegerValue())
	}
	return n
}
