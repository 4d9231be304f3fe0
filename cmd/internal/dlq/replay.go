package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"vibesdk-gcp/gateway/client"
)

// ErrNotAll is a replay that came to its end and left some letters: refused, or changed meanwhile.
var ErrNotAll = errors.New("some dead letters were not replayed")

// Pace is the flags that say how to replay.
type Pace struct {
	DryRun bool
	rate   float64
	limit  int
}

// defaultRate is gentle: what died together should not come back all at once.
const defaultRate = 200

// Register adds the flags.
func (p *Pace) Register(flags *pflag.FlagSet) {
	flags.BoolVar(&p.DryRun, "dry-run", false, "change nothing, say what would be replayed")
	flags.Float64Var(&p.rate, "rate", defaultRate, "letters a second at most; 0 is as fast as the bus takes them")
	flags.IntVar(&p.limit, "limit", 0, "letters at most; 0 is all")
}

// Replay asks for a replay and tells of it: a line of text for each letter that was not replayed and a sum, or with asJSON a
// line of JSON for every letter and one for the sum. It returns ErrNotAll when some were left.
func Replay(ctx context.Context, c *client.Client, q client.DeadLetterQuery, p Pace, out io.Writer, asJSON bool) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	each := func(r client.ReplayResult) error {
		switch {
		case asJSON:
			return enc.Encode(r)
		case r.Outcome == "replayed":
			return nil
		}
		text := fmt.Sprintf("%s  %s  %s  %s", r.ID, r.Topic, r.MessageID, r.Outcome)
		if r.Error != "" {
			text += ": " + r.Error
		}
		_, err := fmt.Fprintln(out, text)
		return err
	}
	sum, err := c.DeadLetters().Replay(ctx, client.DeadLetterReplay{DeadLetterQuery: q, DryRun: p.DryRun, Rate: p.rate, Limit: p.limit}, each)
	if err != nil && sum == (client.ReplaySummary{}) {
		return err
	}
	sum.DryRun = p.DryRun // also of an answer that broke off
	if printErr := printSum(out, enc, sum, asJSON); printErr != nil {
		return errors.Join(err, printErr)
	}
	if err == nil && sum.Refused+sum.Changed > 0 {
		return ErrNotAll
	}
	return err
}

func printSum(out io.Writer, enc *json.Encoder, sum client.ReplaySummary, asJSON bool) error {
	if asJSON {
		return enc.Encode(sum)
	}
	what := "replayed"
	if sum.DryRun {
		what = "would be replayed"
	}
	text := fmt.Sprintf("%d %s", sum.Replayed, what)
	if sum.Refused > 0 {
		text += fmt.Sprintf(", %d refused: edit or park them", sum.Refused)
	}
	if sum.Changed > 0 {
		text += fmt.Sprintf(", %d changed meanwhile: look at them again", sum.Changed)
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
