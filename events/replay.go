package events

import "strconv"

// attrReplay counts how often a person published a message again after it was parked.
const attrReplay = "replay"

// Replays is how often a person published m again after it was parked: 0 for a message that never was.
func (m Message) Replays() int {
	n, err := strconv.Atoi(m.Attributes[attrReplay])
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Replay returns the message to publish to Topic once more: the original with the same ID, counted as one replay more, so that
// a consumer that remembers why it refused the message looks at it again.
func (d DeadLetter) Replay() Message {
	m := d.Message.Clone()
	m.setReplays(m.Replays() + 1)
	return m
}

// setReplays needs attributes that nobody else holds.
func (m *Message) setReplays(n int) {
	if m.Attributes == nil {
		m.Attributes = map[string]string{}
	}
	m.Attributes[attrReplay] = strconv.Itoa(n)
}
