package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"vibesdk-gcp/events"
)

// replayed is one line of the answer to a replay.
type replayed struct {
	ID        string               `json:"id"`
	MessageID string               `json:"messageId"`
	Topic     string               `json:"topic"`
	Key       string               `json:"key,omitempty"`
	Outcome   events.LetterOutcome `json:"outcome"`
	// Error says why it was refused.
	Error string `json:"error,omitempty"`
}

// replaySummary is the last line.
type replaySummary struct {
	Done     bool `json:"done"`
	DryRun   bool `json:"dryRun"`
	Replayed int  `json:"replayed"`
	Refused  int  `json:"refused"`
	Changed  int  `json:"changed"`
	// Problem is why it ended before the end. What is not done is still open.
	Problem *Problem `json:"problem,omitempty"`
}

// replayLetters answers a line of JSON for each letter, as it is replayed, and one that sums up. It ends with the call: a caller
// that goes away leaves the rest open.
func (g *Gateway) replayLetters(w http.ResponseWriter, r *http.Request) error {
	var in letterRequest
	if err := readLetterBody(w, r, maxLimitBody, &in); err != nil {
		return err
	}
	q, err := in.query()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-g.draining:
			cancel(&httpError{http.StatusServiceUnavailable, "unavailable", "the server is stopping; run the replay again"})
		case <-stop:
		}
	}()
	out := &lines{w: w, control: http.NewResponseController(w)}
	totals, err := g.Letters.Replay(ctx, events.LetterReplay{Query: q, DryRun: in.DryRun, Rate: in.Rate}, func(result events.LetterResult) error {
		line := replayed{result.Letter.ID, result.Letter.Message.ID, result.Letter.Topic, result.Letter.Message.Key, result.Outcome, ""}
		if result.Err != nil {
			line.Error = strings.ReplaceAll(result.Err.Error(), "\n", "; ")
		}
		return out.write(line)
	})
	if err != nil && !out.begun {
		return err
	}
	end := replaySummary{Done: err == nil, DryRun: in.DryRun, Replayed: totals.Replayed, Refused: totals.Refused, Changed: totals.Changed}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		problem := problemOf(err)
		end.Problem = &problem
		g.log.WarnContext(r.Context(), "replay of dead letters ended early", "replayed", totals.Replayed, "error", err)
	}
	_ = out.write(end) // a client that is gone needs no answer
	return nil
}

// lines writes JSON, one value a line, and sends each at once.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (l *lines) write(v any) error {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/jsonl")
		l.w.Header().Set("Cache-Control", "no-store")
	}
	if err := json.NewEncoder(l.w).Encode(v); err != nil {
		return err
	}
	_ = l.control.Flush() // a writer that cannot flush sends at the end
	return nil
}
