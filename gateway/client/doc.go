// Package client is the typed Go client of the gateway.
//
//	c, err := client.New("http://127.0.0.1:8787", client.Options{})
//	project, err := client.ReadProject("examples/hello", client.RunRequest{})
//	accepted, err := c.Sandboxes().RunProject(ctx, project)
//	ready, err := c.Sandboxes().Follow(ctx, accepted.ID, client.Progress{})
//
// Calls that may be repeated without harm are repeated, with growing delays, while the server cannot be reached or
// answers that it is busy. To run a sandbox is such a call: the request carries an id that makes it one sandbox
// however often it arrives.
//
// Errors are [*Error] with what the server said, matched by status with [ErrNotFound] and its siblings, or wrap
// [ErrUnreachable] when no answer came.
package client
