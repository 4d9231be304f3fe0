package pubsubbus_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/pstest"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/pubsubbus"
)

// killedMode makes this test binary a consumer: "endpoint project".
const killedMode = "PUBSUBBUS_TEST_CONSUMER"

// TestKilledConsumersLoseNothing kills consumers in the middle of their work, again and again. What they had taken
// comes again when its lease ends.
//
// It runs on pstest: the emulator (0.8.20) sends expired messages to the streams of dead consumers again, so that some
// are not seen by a living one for minutes, with any client.
func TestKilledConsumersLoseNothing(t *testing.T) {
	t.Parallel()
	server := pstest.NewServer()
	t.Cleanup(func() { server.Close() })
	endpoint, project := server.Addr, "project"
	o := pubsubbus.Options{Endpoint: endpoint, Project: project}
	sub := killedSubscription()
	bus, _ := start(t, o, map[*events.Subscription]events.Handler{&sub: nil})
	handled := newTally()
	const rounds, each = 3, 30
	for round := range rounds {
		for i := range each {
			publish(t, bus, sub.Topic, events.Message{ID: fmt.Sprint(round, "/", i)})
		}
		consumer := exec.Command(os.Args[0])
		consumer.Env = append(os.Environ(), killedMode+"="+endpoint+" "+project)
		out, err := consumer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := consumer.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 5 && lines.Scan(); n++ {
			handled.add(events.Message{ID: lines.Text()})
		}
		if err := consumer.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it died
			handled.add(events.Message{ID: lines.Text()})
		}
		if err := consumer.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the consumer ended with %v", err)
		}
	}
	start(t, o, map[*events.Subscription]events.Handler{
		&sub: func(_ context.Context, m events.Message) error { handled.add(m); return nil },
	})
	handled.await(t, "all messages", count(rounds*each))
}

func killedSubscription() events.Subscription {
	return events.Subscription{Name: "killed", Topic: unordered, Attempts: 100}
}

func TestMain(m *testing.M) {
	if where, ok := os.LookupEnv(killedMode); ok {
		endpoint, project, _ := strings.Cut(where, " ")
		d, err := pubsubbus.New(context.Background(), pubsubbus.Options{Endpoint: endpoint, Project: project, Prefix: "it-", Lease: 10 * time.Second})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		err = events.New(d, events.Options{}).Consume(context.Background(), killedSubscription(), func(_ context.Context, m events.Message) error {
			_, err := fmt.Println(m.ID)
			return err
		})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
