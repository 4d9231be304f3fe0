package events

import (
	"testing"
	"time"
)

func TestReplayIsCounted(t *testing.T) {
	t.Parallel()
	m := Message{ID: "m1", Key: "k", Data: []byte("1")}
	for n := range 3 {
		if got := m.Replays(); got != n {
			t.Fatalf("Replays() = %d, want %d", got, n)
		}
		parked, err := ParseDeadLetter(DeadLetter{Message: m, Topic: "t", ParkedAt: time.Now()}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		m = parked.Replay()
		if m.ID != "m1" || m.Key != "k" || string(m.Data) != "1" {
			t.Fatalf("replay %d is another message: %+v", n+1, m)
		}
		if parked.Message.Replays() != n {
			t.Error("Replay changed the dead letter")
		}
	}
	for _, odd := range []string{"", "x", "-1", "1.5"} {
		if got := (Message{Attributes: map[string]string{attrReplay: odd}}).Replays(); got != 0 {
			t.Errorf("%q counts as %d replays", odd, got)
		}
	}
}
