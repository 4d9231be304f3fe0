package schemas_test

import (
	"context"
	"errors"
	"testing"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/internal/testenv"
)

// TestPubSubTakesTheSchemas registers each .proto with the official emulator, as Terraform does with the service, and
// publishes every frozen payload, as we write it, to a topic with that schema.
//
// Emulator 0.8.20 has no protocol buffer schemas: it answers Unimplemented, and the test says so and skips. What can be
// known without it is in [TestSchemaSourceTakesWhatIsPublished].
func TestPubSubTakesTheSchemas(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	server := connect(ctx, t, endpoint, project)
	for message := range codecs {
		topic := server.topic(ctx, t, message)
		for file, encoded := range published(t, message) {
			if err := server.publish(ctx, topic, encoded); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		for _, bad := range refused {
			if err := server.publish(ctx, topic, []byte(bad)); status.Code(err) != codes.InvalidArgument {
				t.Errorf("publishing %s to %s: got %v, want InvalidArgument", bad, topic, err)
			}
		}
	}
}

type server struct {
	project string
	schemas *pubsub.SchemaClient
	topics  *pubsub.TopicAdminClient
}

// connect opens the clients. SchemaClient does not read PUBSUB_EMULATOR_HOST.
func connect(ctx context.Context, t *testing.T, endpoint, project string) *server {
	t.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &server{project: "projects/" + project}
	var fault error
	s.schemas, err = pubsub.NewSchemaClient(ctx, option.WithGRPCConn(conn))
	fault = errors.Join(fault, err)
	s.topics, err = pubsub.NewTopicAdminClient(ctx, option.WithGRPCConn(conn))
	if fault = errors.Join(fault, err); fault != nil {
		t.Fatal(fault)
	}
	return s
}

// topic registers the message's .proto and makes a topic that enforces it.
func (s *server) topic(ctx context.Context, t *testing.T, message string) string {
	t.Helper()
	schema, err := s.schemas.CreateSchema(ctx, &pubsubpb.CreateSchemaRequest{
		Parent:   s.project,
		SchemaId: message,
		Schema:   &pubsubpb.Schema{Type: pubsubpb.Schema_PROTOCOL_BUFFER, Definition: string(read(t, message+".proto"))},
	})
	if status.Code(err) == codes.Unimplemented {
		t.Skipf("this release of the Pub/Sub emulator cannot hold a .proto as a schema: %v", err)
	}
	if err != nil {
		t.Fatalf("%s.proto is not taken as a schema: %v", message, err)
	}
	topic, err := s.topics.CreateTopic(ctx, &pubsubpb.Topic{
		Name:           s.project + "/topics/" + message,
		SchemaSettings: &pubsubpb.SchemaSettings{Schema: schema.GetName(), Encoding: pubsubpb.Encoding_JSON},
	})
	if err != nil {
		t.Fatal(err)
	}
	return topic.GetName()
}

func (s *server) publish(ctx context.Context, topic string, data []byte) error {
	_, err := s.topics.Publish(ctx, &pubsubpb.PublishRequest{Topic: topic, Messages: []*pubsubpb.PubsubMessage{{Data: data}}})
	return err
}
