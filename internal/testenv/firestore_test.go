package testenv

import (
	"testing"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func TestFirestoreProjectsAreSeparateAndEmptied(t *testing.T) {
	t.Parallel()
	var endpoint string
	projects := make([]string, 2)
	t.Run("users", func(t *testing.T) {
		for i := range projects {
			endpoint, projects[i] = Firestore(t)
			// The same name in both: AlreadyExists if they share a project.
			if _, err := firestoreClient(t, endpoint).CreateDocument(t.Context(), &firestorepb.CreateDocumentRequest{
				Parent: documents(projects[i]), CollectionId: "things", DocumentId: "mine", Document: &firestorepb.Document{},
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
	if endpoint == "" {
		t.Skip("skipped above")
	}
	for _, project := range projects {
		_, err := firestoreClient(t, endpoint).GetDocument(t.Context(), &firestorepb.GetDocumentRequest{Name: documents(project) + "/things/mine"})
		if status.Code(err) != codes.NotFound {
			t.Errorf("the document of project %s after its test: %v, want NotFound", project, err)
		}
	}
}

func documents(project string) string {
	return "projects/" + project + "/databases/(default)/documents"
}

func firestoreClient(t *testing.T, endpoint string) *firestore.Client {
	t.Helper()
	client, err := firestore.NewClient(t.Context(), option.WithEndpoint(endpoint), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
