package main

import (
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
)

// TestUnmodifiedClientsOutliveVibed: clients of the agents package in Node stay with a vibed that is killed, and with one that is told to
// stop, and nothing is lost: neither what was there nor what they write while nobody is.
func TestUnmodifiedClientsOutliveVibed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	p := newPlatform(t, program(t, ""), "")
	n := startClients(t)
	p.start(ctx)
	for _, conn := range []string{"A", "B"} {
		n.do(map[string]any{"op": "connect", "conn": conn, "host": p.listen, "agent": "NotesAgent", "name": "x"})
		n.until(ctx, conn, func(e clientEvent) bool { return e.Event == "ready" })
	}
	shows := func(state string) func(clientEvent) bool {
		return func(e clientEvent) bool {
			return e.Event == "state" && e.Source == "server" && string(e.State) == state
		}
	}
	n.do(map[string]any{"op": "setState", "conn": "A", "state": "first"})
	n.until(ctx, "B", shows(`"first"`))
	for call, end := range []func(){
		func() {
			if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-p.died
			p.cmd = nil
		},
		p.end,
	} {
		end()
		for _, conn := range []string{"A", "B"} {
			// Who is told to stop says so.
			if e := n.until(ctx, conn, func(e clientEvent) bool { return e.Event == "close" }); call == 1 && e.Code != 1012 {
				t.Errorf("%s is closed with %d, want 1012", conn, e.Code)
			}
		}
		state := []string{`"while it was dead"`, `"while it was stopped"`}[call]
		n.do(map[string]any{"op": "setState", "conn": "A", "state": json.RawMessage(state)})
		n.do(map[string]any{"op": "call", "conn": "A", "call": call, "method": "getFullState", "args": []any{}})
		p.start(ctx)
		got := n.until(ctx, "A", func(e clientEvent) bool {
			return e.Call == call && (e.Event == "result" || e.Event == "failure")
		})
		if string(got.Result) != state {
			t.Errorf("the state is %s %s, want %s", got.Result, got.Error, state)
		}
		n.until(ctx, "B", shows(state))
	}
	p.end()
}

// clients are unmodified clients of agents in a Node process, which are told what to do and tell what happens.
type clients struct {
	t      *testing.T
	in     *json.Encoder
	events chan clientEvent
	seen   map[string][]clientEvent // by client, not asked for yet
}

// clientEvent is what gateway/testdata/agents/client.mjs tells.
type clientEvent struct {
	Conn, Event, Source, Error string
	Call, Code                 int
	State, Result              json.RawMessage
}

func startClients(t *testing.T) *clients {
	t.Helper()
	cmd := exec.Command("node", "client.mjs")
	cmd.Dir = testenv.NodeProject(t, "../../gateway/testdata/agents")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &clients{t: t, in: json.NewEncoder(in), events: make(chan clientEvent, 1000), seen: map[string][]clientEvent{}}
	go func() {
		defer close(n.events)
		told := json.NewDecoder(out)
		for {
			var e clientEvent
			if err := told.Decode(&e); err != nil {
				if err != io.EOF {
					t.Errorf("event: %v", err)
				}
				return
			}
			n.events <- e
		}
	}()
	t.Cleanup(func() {
		in.Close()
		for range n.events { // to the end of the process
		}
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("node: %v %s", err, complaints.String())
		}
	})
	return n
}

func (n *clients) do(command map[string]any) {
	n.t.Helper()
	if err := n.in.Encode(command); err != nil {
		n.t.Fatal(err)
	}
}

// until returns the first event of a client that is wanted, and forgets those before it.
func (n *clients) until(ctx context.Context, conn string, wanted func(clientEvent) bool) clientEvent {
	n.t.Helper()
	for {
		for i, e := range n.seen[conn] {
			if wanted(e) {
				n.seen[conn] = n.seen[conn][i+1:]
				return e
			}
		}
		n.seen[conn] = nil
		select {
		case e, ok := <-n.events:
			if !ok {
				n.t.Fatalf("node ended before what %s was to tell", conn)
			}
			n.seen[e.Conn] = append(n.seen[e.Conn], e)
		case <-ctx.Done():
			n.t.Fatalf("%s does not tell what is waited for", conn)
		}
	}
}
