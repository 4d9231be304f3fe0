package firestoresession_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
)

const (
	emulatorCall = 4 << 20
	document     = 1 << 20
)

type parts = map[session.PartName][]byte

func TestACommitIsOneCallThatSendsWhatChanged(t *testing.T) {
	t.Parallel()
	w := &wire{}
	d := open(t, w.options(t))
	for _, size := range []int{100 << 10, 3 << 20} { // in the session's document, and in chunks
		id := fmt.Sprint("s", size)
		r := commit(t, d, beginning(id, parts{session.PartState: []byte("0"), session.PartFullConversations: noise(1, size)}))
		w.since()
		for i := range 3 {
			r = commit(t, d, after(r, parts{session.PartState: fmt.Append(nil, i)}))
		}
		calls, sent := w.since()
		if !slices.Equal(calls, []string{"Commit", "Commit", "Commit"}) {
			t.Errorf("%d bytes: three commits in a row made the calls %v", size, calls)
		}
		if n := sizeOf(sent); n > 10_000 {
			t.Errorf("%d bytes: three commits of a few bytes sent %d", size, n)
		}
		equal(t, "after that", r, load(t, d, id))

		// A record that says nothing of how it is stored is looked up first.
		w.since()
		r.Tag = ""
		r = commit(t, d, after(r, parts{session.PartState: []byte(`"untagged"`)}))
		calls, sent = w.since()
		if !slices.Equal(calls, []string{"BatchGetDocuments", "Commit"}) || sizeOf(sent) > 5_000 {
			t.Errorf("%d bytes: a commit without tag made the calls %v and sent %d bytes", size, calls, sizeOf(sent))
		}
		equal(t, "without tag", r, load(t, d, id))
	}
}

func TestAnUnchangedRecordIsNotReadAgain(t *testing.T) {
	t.Parallel()
	var received sync.Map
	w := &wire{stream: func(_ string, next func() (grpc.ClientStream, error)) (grpc.ClientStream, error) {
		s, err := next()
		return &meter{ClientStream: s, total: &received}, err
	}}
	d := open(t, w.options(t))
	for _, size := range []int{500 << 10, 3 << 20} {
		r := commit(t, d, beginning(fmt.Sprint("s", size), parts{session.PartState: noise(1, size)}))
		received.Clear()
		for range 3 {
			if got, err := d.Load(t.Context(), r.ID, r); err != nil || got != r {
				t.Errorf("%d bytes: load of what is known: %p, %v, want %p", size, got, err, r)
			}
		}
		n := 0
		received.Range(func(size, _ any) bool { n += size.(int); return true })
		if n == 0 || n > 10_000 {
			t.Errorf("%d bytes: three loads of what is known received %d", size, n)
		}
	}
}

// meter collects the sizes of messages.
type meter struct {
	grpc.ClientStream
	total *sync.Map
}

func (m *meter) RecvMsg(into any) error {
	err := m.ClientStream.RecvMsg(into)
	if err == nil {
		m.total.Store(proto.Size(into.(proto.Message)), true)
	}
	return err
}

// TestNothingIsOverTheLimitsOfTheService walks sizes around every limit and looks at what was sent, and that nothing is left
// of what was replaced.
func TestNothingIsOverTheLimitsOfTheService(t *testing.T) {
	t.Parallel()
	w := &wire{}
	o := w.options(t)
	d := open(t, o)
	edges := []int{1, firestoresession.HeadBytes / 2, firestoresession.HeadBytes, firestoresession.ChunkBytes, 3 * firestoresession.ChunkBytes}
	var r *session.Record
	for step := range 18 {
		change := parts{}
		for i, name := range []session.PartName{session.PartState, session.PartFullConversations, session.PartTables} {
			if edge := edges[(step*(i+1)+step/5)%len(edges)]; (step+i)%3 > 0 {
				change[name] = noise(uint64(step), max(2, edge+step-12))
			}
			if (step+i)%11 == 10 {
				change[name] = nil
			}
		}
		if r == nil {
			r = commit(t, d, beginning("sizes", change))
		} else {
			r = commit(t, d, after(r, change))
		}
		_, sent := w.since()
		for _, request := range sent {
			if n := proto.Size(request); n > emulatorCall {
				t.Fatalf("step %d: a call of %d bytes", step, n)
			}
			for _, write := range request.GetWrites() {
				if n := proto.Size(write.GetUpdate()); n > document {
					t.Fatalf("step %d: a document of %d bytes", step, n)
				}
			}
		}
		got := load(t, d, "sizes")
		equal(t, fmt.Sprint("step ", step), r, got)
		referred := 0
		for _, n := range chunks(t, o, r) {
			referred += n
		}
		if stored := count(t, o, firestoresession.Chunks); stored != referred {
			t.Fatalf("step %d: %d chunks are stored, %d are referred to", step, stored, referred)
		}
	}
	if n := count(t, o, firestoresession.Uploads); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
	if err := d.Remove(t.Context(), r.ID, r.Commit); err != nil {
		t.Fatal(err)
	}
	if n := count(t, o, firestoresession.Chunks) + count(t, o, firestoresession.Sessions); n != 0 {
		t.Errorf("%d documents are left of what was removed", n)
	}
}

func TestARingThatDoesNotFitIsRefusedUnsent(t *testing.T) {
	t.Parallel()
	w := &wire{}
	d := open(t, w.options(t))
	r := commit(t, d, beginning("s", nil))
	w.since()
	next := after(r, nil)
	entries := make([]session.Entry, 8000)
	for i := range entries {
		entries[i] = session.Entry{Hash: uint64(i), Kind: session.Put, Code: session.Applied, Ref: string(noise(uint64(i), session.MaxID)), Reason: string(noise(uint64(i), session.MaxReason))}
	}
	next.Ring = session.NewRing(entries)
	if _, err := d.Commit(t.Context(), next); !errors.Is(err, session.ErrTooLarge) {
		t.Errorf("commit: %v, want ErrTooLarge", err)
	}
	if calls, _ := w.since(); len(calls) > 0 {
		t.Errorf("it made the calls %v", calls)
	}
}

// TestASlowReaderSeesOneCommit replaces a large part after a reader has read which chunks it needs.
func TestASlowReaderSeesOneCommit(t *testing.T) {
	t.Parallel()
	w := &wire{}
	d := open(t, w.options(t))
	first := commit(t, d, beginning("s", parts{session.PartState: noise(1, 3<<20), session.PartTables: []byte("1")}))
	reads := 0
	w.stream = func(method string, next func() (grpc.ClientStream, error)) (grpc.ClientStream, error) {
		if reads++; method == "BatchGetDocuments" && reads == 2 {
			commit(t, d, after(first, parts{session.PartState: noise(2, 3<<20), session.PartTables: []byte("2")}))
		}
		return next()
	}
	equal(t, "the slow reader", first, load(t, d, "s"))
	if reads != 2 {
		t.Errorf("%d reads: the test tests nothing", reads)
	}
	if r := load(t, d, "s"); r.Commit != 2 {
		t.Errorf("the next reader sees commit %d", r.Commit)
	}
}

func TestDamageIsAnError(t *testing.T) {
	t.Parallel()
	w := &wire{}
	o := w.options(t)
	d := open(t, o)
	commit(t, d, beginning("s", parts{session.PartState: noise(1, 3<<20)}))
	_, sent := w.since()
	var chunk *pb.Document
	for _, write := range sent[0].GetWrites() {
		if strings.Contains(write.GetUpdate().GetName(), firestoresession.Chunks) {
			chunk = write.GetUpdate()
		}
	}
	c := client(t, o)
	data := chunk.GetFields()["data"].GetBytesValue()
	data[len(data)/2] ^= 1
	overwrite := &pb.Write{Operation: &pb.Write_Update{Update: chunk}}
	remove := &pb.Write{Operation: &pb.Write_Delete{Delete: chunk.GetName()}}
	for want, write := range map[string]*pb.Write{`stored part "state": checksum`: overwrite, `stored part "state": chunk "s:1.`: remove} {
		if _, err := c.Commit(t.Context(), &pb.CommitRequest{Database: database(o), Writes: []*pb.Write{write}}); err != nil {
			t.Fatal(err)
		}
		if r, err := d.Load(t.Context(), "s", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("load: %v, %v, want %q", r, err, want)
		}
	}
}

// TestAnAbandonedUploadIsCleaned loses the commit of a large record, before and after a sweep.
func TestAnAbandonedUploadIsCleaned(t *testing.T) {
	t.Parallel()
	w := &wire{}
	o := w.options(t)
	d := open(t, o)
	large := beginning("large", parts{session.PartState: noise(1, 4<<20), session.PartTables: noise(2, 2<<20)})
	calls := 0
	w.commit = func(_ context.Context, _ *pb.CommitRequest, next func() error) error {
		if calls++; calls == 2 {
			return status.Error(codes.Unavailable, "a fault of the test")
		}
		return next()
	}
	if _, err := d.Commit(t.Context(), large); status.Code(err) != codes.Unavailable {
		t.Fatalf("commit: %v, want the fault", err)
	}
	w.commit = nil
	small := commit(t, d, beginning("other", parts{session.PartState: noise(3, 1<<20)}))
	if count(t, o, firestoresession.Uploads) != 1 || count(t, o, firestoresession.Chunks) <= chunks(t, o, small)[session.PartState] {
		t.Fatal("nothing was left: the test tests nothing")
	}
	for _, sweep := range []struct {
		before time.Time
		want   int
	}{{large.UpdatedAt, 0}, {large.UpdatedAt.Add(time.Microsecond), 1}, {large.UpdatedAt.Add(time.Hour), 0}} {
		for range 2 { // counting removes nothing
			if n, err := d.Unreferenced(t.Context(), sweep.before, 10); n != sweep.want || err != nil {
				t.Errorf("count what is before %s: %d, %v; want %d", sweep.before, n, err, sweep.want)
			}
		}
		if n, err := d.Clean(t.Context(), sweep.before, 10); n != sweep.want || err != nil {
			t.Errorf("clean what is before %s: %d, %v; want %d", sweep.before, n, err, sweep.want)
		}
	}
	if n, want := count(t, o, firestoresession.Chunks), chunks(t, o, small)[session.PartState]; n != want {
		t.Errorf("%d chunks are left, want the %d of the other session", n, want)
	}
	equal(t, "the other session", small, load(t, d, "other"))
	equal(t, "the large session at last", commit(t, d, large), load(t, d, "large"))
}

// TestACleanedUploadIsNeverCommitted sweeps while a writer is slow: before each of its calls but the first.
func TestACleanedUploadIsNeverCommitted(t *testing.T) {
	t.Parallel()
	const last = 3 // the call that is the commit itself
	for at := 2; at <= last; at++ {
		w := &wire{}
		o := w.options(t)
		d := open(t, o)
		sweeper := open(t, firestoresession.Options{Endpoint: o.Endpoint, Project: o.Project})
		next := beginning("s", parts{session.PartState: noise(1, 5<<20), session.PartTables: noise(2, 1<<20)})
		calls := 0
		w.commit = func(_ context.Context, request *pb.CommitRequest, send func() error) error {
			calls++
			final := strings.Contains(request.GetWrites()[0].GetUpdate().GetName(), "/"+firestoresession.Sessions+"/")
			if final != (calls == last) {
				t.Errorf("call %d is the commit itself: %v", calls, final)
			}
			if calls == at {
				if n, err := sweeper.Clean(t.Context(), next.UpdatedAt.Add(time.Hour), 10); n != 1 || err != nil {
					t.Errorf("clean: %d, %v", n, err)
				}
			}
			return send()
		}
		_, err := d.Commit(t.Context(), next)
		w.commit = nil
		if err == nil {
			t.Errorf("a commit was done whose upload was swept before its call %d", at)
		}
		if calls != at {
			t.Errorf("%d calls after a sweep before call %d", calls, at)
		}
		if n := count(t, o, firestoresession.Chunks) + count(t, o, firestoresession.Uploads) + count(t, o, firestoresession.Sessions); n != 0 {
			t.Errorf("a sweep before call %d: %d documents are left", at, n)
		}
	}
}

// TestARefusedUploadIsRemoved: the loser of a race leaves nothing for the sweep.
func TestARefusedUploadIsRemoved(t *testing.T) {
	t.Parallel()
	w := &wire{}
	o := w.options(t)
	d := open(t, o)
	commit(t, d, beginning("s", nil))
	if _, err := d.Commit(t.Context(), beginning("s", parts{session.PartState: noise(1, 9<<20)})); !errors.Is(err, session.ErrConflict) {
		t.Errorf("commit: %v, want ErrConflict", err)
	}
	if n := count(t, o, firestoresession.Chunks) + count(t, o, firestoresession.Uploads); n != 0 {
		t.Errorf("%d documents are left", n)
	}
}

// TestOnlySessionsWithoutChunksArePurged: a TTL policy would leave chunks behind.
func TestOnlySessionsWithoutChunksArePurged(t *testing.T) {
	t.Parallel()
	o := (&wire{}).options(t)
	d, c := open(t, o), client(t, o)
	r := commit(t, d, beginning("s", nil))
	for _, step := range []struct {
		what    string
		expires time.Time
		change  parts
		want    time.Time
	}{
		{what: "never"},
		{what: "some time", expires: epoch, want: epoch.Add(7 * 24 * time.Hour)},
		{what: "with chunks", expires: epoch, change: parts{session.PartState: noise(1, 1<<20)}},
		{what: "with old chunks", expires: epoch, change: parts{session.PartTables: []byte("1")}},
		{what: "without chunks again", expires: epoch, change: parts{session.PartState: nil}, want: epoch.Add(7 * 24 * time.Hour)},
		{what: "never again"},
	} {
		next := after(r, step.change)
		next.ExpiresAt = step.expires
		r = commit(t, d, next)
		doc, err := c.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: database(o) + "/documents/" + firestoresession.Sessions + "/s"})
		if err != nil {
			t.Fatal(err)
		}
		at, ok := doc.GetFields()["purgeAt"]
		if ok == step.want.IsZero() || ok && !at.GetTimestampValue().AsTime().Equal(step.want) {
			t.Errorf("%s: purgeAt is %v, want %v", step.what, at, step.want)
		}
	}
}
