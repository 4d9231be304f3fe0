package statewriter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/pubsubbus"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/events/sqlletter"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas/gen"
	"vibesdk-gcp/workers/statewriter"
	"vibesdk-gcp/workers/workertest"
)

// perReplayed is how many mutations of each session are dead letters, half of which were applied before.
const perReplayed = 100

// TestReplayChangesExactlyTheOtherHalf replays dead letters of mutations, half of which were applied all the same, as after a
// commit whose outcome nobody learned. The replayer is killed in the middle and run again.
func TestReplayChangesExactlyTheOtherHalf(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes for many seconds")
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		replayHalf(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), 10_000)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		replayHalf(t, testenv.Postgres(t), 2_000)
	})
}

func replayHalf(t *testing.T, address string, count int) {
	s := workertest.NewSessions(t, address, nil, session.Options{})
	w := replayWorld{Sessions: s, t: t, bus: s.Bus, box: letterBox(t, s.DB, s.Bus), count: count}
	w.prepare()

	replayer := startProcess(t, replayerAddress+"="+address)
	w.awaitReplayed(count / 4)
	replayer.kill(t)
	noted := w.replayed()
	if noted == 0 || noted == count {
		t.Fatalf("%d of %d letters were replayed at the time of the kill", noted, count)
	}
	again := startProcess(t, replayerAddress+"="+address)
	w.awaitReplayed(count)
	again.stop(t)
	w.check()
	t.Logf("killed after %d of %d", noted, count)
}

// TestReplayOnPubSub is the same over the emulator, with nobody killed.
func TestReplayOnPubSub(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	quiet := slog.New(slog.DiscardHandler)
	driver, err := pubsubbus.New(t.Context(), pubsubbus.Options{Endpoint: endpoint, Project: project, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := driver.EnsureResources(t.Context()); err != nil {
		t.Fatal(err)
	}
	bus := events.New(driver, events.Options{Logger: quiet})
	t.Cleanup(func() {
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
	s := workertest.NewSessions(t, "", nil, session.Options{})
	w := replayWorld{Sessions: s, t: t, bus: bus, box: letterBox(t, s.DB, bus), count: 600}
	w.prepare()
	totals, err := w.box.Replay(t.Context(), events.LetterReplay{}, func(events.LetterResult) error { return nil })
	if err != nil || totals != (events.ReplayTotals{Replayed: 600}) {
		t.Fatalf("replayed %+v, %v", totals, err)
	}
	w.check()
}

func letterBox(t testing.TB, db *sqldb.DB, p events.Publisher) *events.LetterBox {
	t.Helper()
	box, err := events.NewLetterBox(sqlletter.New(db), p, events.LetterOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// replayWorld holds count dead letters of sessions with perReplayed mutations each.
type replayWorld struct {
	*workertest.Sessions
	t     *testing.T
	bus   *events.Bus
	box   *events.LetterBox
	count int
}

func (w *replayWorld) session(n int) string { return fmt.Sprint("replayed-", n) }

func (w *replayWorld) mutation(session, n int) events.Message {
	return message(&gen.StateMutation{
		MutationId: fmt.Sprintf("%d/%d", session, n), SessionId: w.session(session), Kind: gen.StateMutation_APPEND,
		Part: "full_conversations", Payload: fmt.Sprint(n),
	})
}

// prepare applies the even mutations and parks all of them, as the bus does: those of a key one after the other.
func (w *replayWorld) prepare() {
	w.t.Helper()
	writer := statewriter.New(statewriter.Options{Store: w.Store, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	w.t.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		if err := w.bus.ConsumeBatches(ctx, events.StateWriter, writer.Handle); err != nil {
			w.t.Error(err)
		}
	})
	running.Go(func() {
		if err := w.bus.Consume(ctx, events.Parked, w.box.Handle); err != nil {
			w.t.Error(err)
		}
	})
	for s := range w.count / perReplayed {
		var even []events.Message
		for n := 0; n < perReplayed; n += 2 {
			even = append(even, w.mutation(s, n))
		}
		if err := w.bus.Publish(ctx, events.StateMutations, even...); err != nil {
			w.t.Fatal(err)
		}
	}
	w.awaitVersions(ctx, perReplayed/2)

	parked := time.Now()
	for n := range perReplayed {
		var dead []events.Message
		for s := range w.count / perReplayed {
			d := events.DeadLetter{
				Message: w.mutation(s, n), Topic: events.StateMutations.Name, Subscription: events.StateWriter.Name,
				Reason: "store is away", Attempts: 20, ParkedAt: parked.Add(time.Duration(n) * time.Millisecond),
			}
			d.Message.Type, d.Message.Source, d.Message.Time = events.StateMutations.Type, "test", parked
			dead = append(dead, d.Encode())
		}
		if err := w.bus.Publish(ctx, events.DeadLetters, dead...); err != nil {
			w.t.Fatal(err)
		}
	}
	w.await("letters", w.count, func() int { return w.letters(events.LetterQuery{}) })
}

func (w *replayWorld) awaitVersions(ctx context.Context, version int64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for s := range w.count / perReplayed {
		awaitVersion(ctx, w.t, w.Store, w.session(s), version)
	}
}

func (w *replayWorld) letters(q events.LetterQuery) int {
	w.t.Helper()
	counts, err := w.box.Count(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	total := 0
	for _, c := range counts {
		total += c.Count
	}
	return total
}

func (w *replayWorld) replayed() int {
	return w.letters(events.LetterQuery{States: []events.LetterState{events.LetterReplayed}})
}

func (w *replayWorld) awaitReplayed(n int) { w.await("replayed letters", n, w.replayed) }

func (w *replayWorld) await(what string, n int, count func() int) {
	w.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if got := count(); got >= n {
			return
		} else if time.Now().After(deadline) {
			w.t.Fatalf("%d %s in three minutes, want %d", got, what, n)
		}
	}
}

// check holds every session against what must be: the even mutations of before, then the odd ones in their order, each once.
func (w *replayWorld) check() {
	w.t.Helper()
	w.awaitVersions(w.t.Context(), perReplayed)
	if w.bus == w.Bus {
		awaitEmpty(w.t.Context(), w.t, w.DB) // what was published twice is settled as well
	}
	var want []int
	for _, first := range []int{0, 1} {
		for n := first; n < perReplayed; n += 2 {
			want = append(want, n)
		}
	}
	for s := range w.count / perReplayed {
		rec, err := w.Store.Get(w.t.Context(), w.session(s))
		if err != nil {
			w.t.Fatal(err)
		}
		var got []int
		if err := json.Unmarshal(rec.Parts[session.PartFullConversations].Data, &got); err != nil {
			w.t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || rec.Version != perReplayed {
			w.t.Fatalf("session %d is at version %d (-want +got):\n%s", s, rec.Version, diff)
		}
	}
	if n := w.replayed(); n != w.count {
		w.t.Errorf("%d letters are noted as replayed, want %d", n, w.count)
	}
}

// runReplayer replays everything that is open on a database, fast but not too fast to be killed on its way.
func runReplayer(address string) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, address, sqldb.Options{})
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	driver, err := sqlbus.New(ctx, db, sqlbus.Options{Lease: 3 * time.Second, Logger: quiet})
	if err != nil {
		return err
	}
	bus := events.New(driver, events.Options{Logger: quiet})
	box, err := events.NewLetterBox(sqlletter.New(db), bus, events.LetterOptions{Logger: quiet})
	if err != nil {
		return err
	}
	fmt.Print("!") // started
	_, err = box.Replay(ctx, events.LetterReplay{Rate: 3000}, func(events.LetterResult) error { return nil })
	return errors.Join(err, bus.Close(), db.Close())
}
