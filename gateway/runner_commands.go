package gateway

import (
	"fmt"
	"net/http"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// commandsTimeout is for calls of commands that name no timeout: VibeSDK sets none for what a model asks to run.
const commandsTimeout = 5 * time.Minute

// InstanceCommands answers a call of commands, in its order.
type InstanceCommands struct {
	Outcome

	Results []InstanceCommand `json:"results"`
}

// InstanceCommand tells how one command went. Command is what was sent, byte for byte: callers compare it.
type InstanceCommand struct {
	Command  string `json:"command"`
	Success  bool   `json:"success"`
	ExitCode int    `json:"exitCode"`
	Output   string `json:"output"`
	Error    string `json:"error,omitempty"`
}

// instanceCommandsRequest is the body of a call of commands. Timeout is in milliseconds.
type instanceCommandsRequest struct {
	Commands []string `json:"commands"`
	Timeout  float64  `json:"timeout,omitempty"`
}

// runInstanceCommands runs commands in one shell, one after the other. The timeout is in milliseconds, as VibeSDK's own
// sandboxes take it, and bounds all of them together; at most [sandbox.ControlTimeoutLimit].
func (g *Gateway) runInstanceCommands(w http.ResponseWriter, r *http.Request) error {
	var asked instanceCommandsRequest
	if err := readInstanceBody(w, r, &asked); err != nil {
		return err
	}
	if n := len(asked.Commands); n > sandbox.ControlCommands {
		return badRequest(fmt.Sprintf("commands has %d entries, the limit is %d", n, sandbox.ControlCommands))
	}
	timeout := commandsTimeout
	switch limit := sandbox.ControlTimeoutLimit; {
	case asked.Timeout < 0:
		return badRequest("timeout must be a number of milliseconds and not negative")
	case asked.Timeout > float64(limit.Milliseconds()):
		timeout = limit
	case asked.Timeout > 0:
		timeout = max(time.Duration(asked.Timeout*float64(time.Millisecond)), time.Millisecond)
	}
	_, control, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	answer := InstanceCommands{Outcome: Outcome{Success: true}, Results: []InstanceCommand{}}
	if len(asked.Commands) > 0 {
		results, err := control.Run(r.Context(), asked.Commands, timeout)
		if err != nil {
			return lostGuest(err)
		}
		for _, result := range results {
			answer.Results = append(answer.Results, InstanceCommand(result))
		}
	}
	failed := 0
	for _, result := range answer.Results {
		if !result.Success {
			failed++
		}
	}
	answer.Message = fmt.Sprintf("ran %d commands, %d failed", len(answer.Results), failed)
	writeJSON(w, http.StatusOK, answer)
	return nil
}
