package gateway

import (
	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway/auth"
)

// letterRoutes are the calls about dead letters.
func (g *Gateway) letterRoutes() []route {
	if g.Letters == nil {
		return nil
	}
	const read, write = auth.DeadLettersRead, auth.DeadLettersWrite
	states := schema{"type": "string"}
	filters := []param{
		query("state", "Only letters in these states, with commas between them: open, parked, replayed.", states),
		query("topic", "Only those of a topic.", ""), query("subscription", "Only those of a subscription.", ""),
		query("type", "Only messages of a type.", ""), query("key", "Only messages with a key.", ""),
		query("messageId", "Only those of a message.", ""), query("reason", "Only those whose reason has this text in it.", ""),
		query("from", "Only those given up at this time or later, RFC 3339.", ""), query("until", "Only those given up before this time.", ""),
		afterParam, limitParam(events.MaxLetters), flagParam("newest", "The newest first."),
	}
	conflicts := []int{404, 409}
	return []route{
		{"GET", "/v1/dead-letters", read, g.listLetters, "List dead letters, without payloads", spec{params: filters, out: ok(DeadLetterPage{})}},
		{"GET", "/v1/dead-letters:count", read, g.countLetters, "Count dead letters", spec{params: filters, out: ok(deadLetterCounts{})}},
		{"POST", "/v1/dead-letters:replay", write, g.replayLetters, "Publish dead letters again", spec{
			about: "A line of JSON for each letter as it is replayed, and one that sums up. Ids and keys stay, and so does the order of each key.",
			in:    optionalJSON(letterRequest{}), maxBody: maxLimitBody, out: map[int]content{200: bytesOf("application/jsonl")}, timeout: endless,
		}},
		{"POST", "/v1/dead-letters:purge", write, g.purgeLetters, "Delete dead letters for good", spec{
			in: optionalJSON(letterRequest{}), maxBody: maxLimitBody, out: ok(deadLetterPurge{}), timeout: deployTimeout,
		}},
		{"GET", "/v1/dead-letters/{id}", read, g.getLetter, "Show a dead letter with its payload", spec{out: ok(DeadLetter{}), fails: notFound}},
		{"PATCH", "/v1/dead-letters/{id}", write, g.editLetter, "Give a dead letter another payload", spec{
			in: optionalJSON(letterEdit{}), maxBody: 2 * events.MaxData, out: ok(DeadLetter{}), fails: conflicts,
		}},
		{"POST", "/v1/dead-letters/{id}:park", write, g.parkLetter, "Set a dead letter aside, with a note", spec{
			in: optionalJSON(letterNote{}), maxBody: maxLimitBody, out: ok(DeadLetter{}), fails: conflicts,
		}},
		{"POST", "/v1/dead-letters/{id}:release", write, g.releaseLetter, "Let a parked dead letter be replayed again", spec{
			in: optionalJSON(letterNote{}), maxBody: maxLimitBody, out: ok(DeadLetter{}), fails: conflicts,
		}},
	}
}

// deadLetterCounts are the counts of dead letters.
type deadLetterCounts struct {
	Counts []DeadLetterCount `json:"counts"`
}

// deadLetterPurge says what was deleted.
type deadLetterPurge struct {
	Purged int  `json:"purged"`
	DryRun bool `json:"dryRun"`
}

// letterNote is the body of park.
type letterNote struct {
	Note string `json:"note,omitempty"`
}
