package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// PubSub returns the host:port of the official Pub/Sub emulator and a project of its own for the test. The project's
// topics and subscriptions are deleted when t ends: the emulator slows down with each that is left. See
// the package comment for where the emulator comes from and when the test is skipped.
func PubSub(t testing.TB) (endpoint, project string) {
	t.Helper()
	skipShort(t, "Pub/Sub emulator")
	endpoint, err := pubsubServer()
	require(t, "Pub/Sub emulator", err)

	project = "test-" + randomHex(8)
	t.Cleanup(func() {
		if err := deleteProject(endpoint, project); err != nil {
			t.Errorf("Pub/Sub emulator: delete what the test made: %v", err)
		}
	})
	return endpoint, project
}

// pubsubServer finds or starts the emulator of this test binary.
var pubsubServer = sync.OnceValues(func() (string, error) {
	if endpoint := os.Getenv("PUBSUB_EMULATOR_HOST"); endpoint != "" {
		return endpoint, nil
	}
	java, jar, err := pubsubEmulator()
	if err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		endpoint, err := tryPubSub(java, jar)
		if err == nil {
			return endpoint, nil
		}
		if try == startTries {
			return "", fmt.Errorf("start %s: %w", jar, err)
		}
	}
})

func tryPubSub(java, jar string) (endpoint string, err error) {
	var self *account
	dir, err := self.tempDir()
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	// The emulator keeps everything in memory: nothing is lost by killing it.
	server, err := startOwned(dir, self, "KILL", java, "-jar", jar, "--host=127.0.0.1", "--port="+strconv.Itoa(port))
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	said := "listening on " + strconv.Itoa(port)
	if err := server.await(startTimeout, func() bool { return strings.Contains(server.log(), said) }); err != nil {
		return "", errors.Join(err, server.stop())
	}
	endpoint = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	emulators.Store(endpoint, server)
	return endpoint, nil
}

// deleteProject deletes the subscriptions and topics of a project on the emulator.
func deleteProject(endpoint, project string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	subscriptions, err := pubsub.NewSubscriptionAdminClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		return err
	}
	topics, err := pubsub.NewTopicAdminClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		return err
	}
	parent := "projects/" + project
	for subs := subscriptions.ListSubscriptions(ctx, &pubsubpb.ListSubscriptionsRequest{Project: parent}); ; {
		sub, err := subs.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return err
		}
		if err := subscriptions.DeleteSubscription(ctx, &pubsubpb.DeleteSubscriptionRequest{Subscription: sub.GetName()}); err != nil {
			return err
		}
	}
	for list := topics.ListTopics(ctx, &pubsubpb.ListTopicsRequest{Project: parent}); ; {
		topic, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := topics.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: topic.GetName()}); err != nil {
			return err
		}
	}
}
