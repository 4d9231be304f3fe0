package firestoresession

import (
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// TestASlowWatcherGetsTheNewest: what came while it was busy is skipped, and never blocks the stream.
func TestASlowWatcherGetsTheNewest(t *testing.T) {
	t.Parallel()
	box := make(mailbox, 1)
	for _, name := range []string{"first", "second", "third"} {
		box.put(&pb.Document{Name: name})
	}
	if got := <-box; got.GetName() != "third" {
		t.Errorf("got the %s document, want the third", got.GetName())
	}
	box.put(&pb.Document{Name: "fourth"})
	box.put(nil)
	if got := <-box; got != nil {
		t.Errorf("got the %s document, want that it is gone", got.GetName())
	}
	if len(box) > 0 {
		t.Error("there is more")
	}
}
