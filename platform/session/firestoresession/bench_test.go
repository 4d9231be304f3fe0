package firestoresession_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
	"vibesdk-gcp/platform/session/sessiontest"
)

// BenchmarkEmulator measures what one would write by hand with the usual client: Raw and RawSessions are conditional updates
// in a row, Transactions is read, change and write. Then it measures the same through driver and store.
func BenchmarkEmulator(b *testing.B) {
	const callers = 64
	for warm := newRaw(b, 1); warm.rows[0].n < 500; { // the emulator compiles itself while it runs
		warm.rows[0].update(b)
	}
	b.Run("Raw", func(b *testing.B) {
		raw := newRaw(b, 1)
		for b.Loop() {
			raw.rows[0].update(b)
		}
	})
	b.Run("RawSessions", func(b *testing.B) {
		raw := newRaw(b, 1000)
		raw.callers(b, callers, func(n int64) { raw.rows[n%int64(len(raw.rows))].update(b) })
	})
	b.Run("RawHot", func(b *testing.B) {
		raw := newRaw(b, 1)
		raw.callers(b, callers, func(int64) { raw.rows[0].update(b) })
	})
	b.Run("Transactions", func(b *testing.B) {
		raw := newRaw(b, 1)
		for b.Loop() {
			raw.transact(b)
		}
	})
	sessiontest.Bench(b, func(tb testing.TB) func() session.Driver {
		endpoint, project := testenv.Firestore(tb)
		return func() session.Driver {
			return open(tb, firestoresession.Options{Endpoint: endpoint, Project: project})
		}
	})
}

// raw are documents with as many bytes as a session of the benchmark has.
type raw struct {
	client *firestore.Client
	rows   []*row
}

type row struct {
	sync.Mutex
	doc     *firestore.DocumentRef
	body    []byte
	written *firestore.WriteResult
	n       int
}

func newRaw(b *testing.B, rows int) *raw {
	b.Helper()
	endpoint, project := testenv.Firestore(b)
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	client, err := firestore.NewClient(b.Context(), project, option.WithGRPCConn(conn))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	r := sessiontest.BenchRecord("s")
	ring, err := r.Ring.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	raw := &raw{client: client, rows: make([]*row, rows)}
	for i := range raw.rows {
		raw.rows[i] = &row{doc: client.Collection("raw").Doc(fmt.Sprint("session-", i)), body: append(ring, r.Parts[session.PartState].Data...)}
		if raw.rows[i].written, err = raw.rows[i].doc.Create(b.Context(), map[string]any{"commit": 0, "body": raw.rows[i].body}); err != nil {
			b.Fatal(err)
		}
	}
	return raw
}

// update is the conditional write of one document, after the one before.
func (r *row) update(b *testing.B) {
	r.Lock()
	defer r.Unlock()
	r.n++
	written, err := r.doc.Update(context.WithoutCancel(b.Context()), []firestore.Update{{Path: "commit", Value: r.n}, {Path: "body", Value: r.body}}, firestore.LastUpdateTime(r.written.UpdateTime))
	if err != nil {
		b.Error(err)
		return
	}
	r.written = written
}

func (r *raw) transact(b *testing.B) {
	row := r.rows[0]
	if err := r.client.RunTransaction(b.Context(), func(_ context.Context, tx *firestore.Transaction) error {
		doc, err := tx.Get(row.doc)
		if err != nil {
			return err
		}
		n, err := doc.DataAt("commit")
		if err != nil {
			return err
		}
		return tx.Update(row.doc, []firestore.Update{{Path: "commit", Value: n.(int64) + 1}, {Path: "body", Value: row.body}})
	}); err != nil {
		b.Fatal(err)
	}
}

func (r *raw) callers(b *testing.B, callers int, work func(n int64)) {
	var turn atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	for range callers {
		group.Go(func() {
			for n := turn.Add(1); n <= int64(b.N); n = turn.Add(1) {
				work(n)
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mutations/s")
}
