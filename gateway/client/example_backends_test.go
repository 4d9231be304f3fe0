package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"vibesdk-gcp/gateway/client"
)

// Keep an agent's state, and find out that somebody else changed it meanwhile.
func ExampleAgentStore() {
	address, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := client.New(address, client.Options{})
	check(err)
	agents := c.AgentStore()

	_, err = agents.PutSessionState(ctx, "chat-1", []byte(`{"files":1}`), client.WriteOptions{})
	check(err)
	state, err := agents.GetSessionState(ctx, "chat-1")
	check(err)
	fmt.Printf("version %d: %s\n", state.Version, state.Data)

	_, err = agents.PutSessionState(ctx, "chat-1", []byte(`{"files":2}`), client.WriteOptions{})
	check(err)
	_, err = agents.PutSessionState(ctx, "chat-1", []byte(`{"files":9}`), client.WriteOptions{IfVersion: &state.Version})
	fmt.Println(errors.Is(err, client.ErrVersion))

	_, err = agents.GetSessionState(ctx, "chat-2")
	fmt.Println(errors.Is(err, client.ErrNotFound))
	// Output:
	// version 1: {"files":1}
	// true
	// true
}

// Send a request to an agent as a browser's agentFetch does. This server has no host for the methods of agents.
func ExampleAgentStore_fetch() {
	address, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := client.New(address, client.Options{})
	check(err)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/files?all=1", http.NoBody)
	check(err)
	resp, err := c.AgentStore().Fetch(ctx, "code-generator-agent", "chat-1", req)
	check(err)
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output: 404
}

// Charge three times to a limit of three in a minute, and once more.
func ExampleRateLimitBackend() {
	address, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := client.New(address, client.Options{})
	check(err)
	limits := c.RateLimitBackend()
	for range 4 {
		result, err := limits.Increment(ctx, "llmCalls", "user:1", 1)
		check(err)
		fmt.Println(result.Success, result.RemainingLimit)
	}
	check(limits.ResetLimit(ctx, "llmCalls", "user:1"))
	left, err := limits.GetRemainingLimit(ctx, "llmCalls", "user:1")
	check(err)
	fmt.Println(left)
	// Output:
	// true 2
	// true 1
	// true 0
	// false 0
	// 3
}

// Change a part of a state, once however often the call is sent, and see the change arrive.
func ExampleSessions() {
	address, stop := exampleServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(address, client.Options{})
	check(err)
	sessions := c.Sessions()
	_, err = sessions.Initialize(ctx, "chat-1", []byte(`{"phase":"plan","files":{}}`), client.WriteOptions{})
	check(err)
	for range 2 {
		result, err := sessions.Merge(ctx, "chat-1", client.PartState, []byte(`{"phase":"build"}`), client.WriteOptions{MutationID: "phase-2"})
		check(err)
		fmt.Println(result.Version, result.Duplicate)
	}
	state, err := sessions.Read(ctx, "chat-1", client.PartState)
	check(err)
	fmt.Println(string(state.Data))
	// Output:
	// 2 false
	// 2 true
	// {"phase":"build","files":{}}
}
