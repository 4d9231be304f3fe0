package app_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/testenv"
)

// TestDeadLetterOverPubSub goes the way of a dead letter with nothing replaced: given up by a worker, filed, edited and replayed
// through the gateway, applied. Before it, the doctor finds the installation as the emulator can have it.
func TestDeadLetterOverPubSub(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Bus = "pubsub"
	c.PubSubEndpoint, c.PubSubProject = testenv.PubSub(t)
	c.PubSubPrefix = "mine-"

	if found := app.CheckPorts(within(t), c, slog.New(slog.DiscardHandler)); checkup.Worst(found) != checkup.Fail {
		t.Errorf("an empty project: %+v", found)
	}
	w := start(t, c, app.RoleGateway, app.RoleStateWriter, app.RoleDeadLetters)
	if found := app.CheckPorts(within(t), c, slog.New(slog.DiscardHandler)); checkup.Worst(found) != checkup.OK || len(found) < 12 {
		t.Errorf("as it was made: %+v", found)
	}

	ctx, letters := within(t), w.client.DeadLetters()
	if _, err := w.client.Sessions().Put(ctx, "s", "state", []byte(`{"list":[]}`), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	payload := func(session string, n int) []byte {
		return fmt.Appendf(nil, `{"mutationId":"m%d","sessionId":%q,"kind":"APPEND","path":"/list","payload":"%d"}`, n, session, n)
	}
	for n := range 3 {
		m := client.Message{Data: payload("other", n), OrderingKey: "s", Attributes: map[string]string{"ce-id": fmt.Sprint("e", n)}}
		if _, err := w.client.Publish(ctx, "state-mutations", m); err != nil {
			t.Fatal(err)
		}
	}
	var list []client.DeadLetter
	for len(list) < 3 {
		list = nil
		for l, err := range letters.List(ctx, client.DeadLetterQuery{Subscription: "statewriter", Key: "s"}) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, l)
		}
		time.Sleep(10 * time.Millisecond) // a list does not tell of what is filed
	}
	for n, l := range list {
		if l.MessageID != fmt.Sprint("e", n) || !l.Permanent || !strings.Contains(l.Reason, `for session "other"`) {
			t.Errorf("letter %d: %+v", n, l)
		}
		if _, err := letters.Edit(ctx, l.ID, client.DeadLetterEdit{Payload: payload("s", n)}); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := letters.Replay(ctx, client.DeadLetterReplay{DeadLetterQuery: client.DeadLetterQuery{Key: "s"}}, func(client.ReplayResult) error { return nil })
	if err != nil || !sum.Done || sum.Replayed != 3 {
		t.Errorf("replayed %+v, %v", sum, err)
	}
	for {
		part, err := w.client.Sessions().Read(ctx, "s", "state")
		if err != nil {
			t.Fatal(err)
		}
		if string(part.Data) == `{"list":[0,1,2]}` {
			break
		}
		time.Sleep(10 * time.Millisecond) // as above
	}
}
