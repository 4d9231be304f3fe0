package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"vibesdk-gcp/platform/session"
)

func readersSeeNoMixture(w *world)             { w.torn(40, 10, 300) }
func readersSeeNoMixtureOfLargeParts(w *world) { w.torn(12, 3, 400<<10) }

// torn has writers take a record from generation to generation while readers look. Part i changes in every
// generation that i+1 divides, so that the head's version tells what each part must hold. It ends when there were so
// many generations, and each reader has seen enough of them.
func (w *world) torn(generations int64, enough int32, size int) {
	first := w.open()
	w.commit(first, generation(nil, 1, size))
	ctx, stop := context.WithCancel(w.Context())
	defer stop()

	var writers, readers sync.WaitGroup
	var seen [3]atomic.Int32 // generations, by reader
	seenEnough := func() bool {
		for i := range seen {
			if seen[i].Load() < enough {
				return false
			}
		}
		return true
	}
	for range 2 {
		d := w.open()
		writers.Go(func() {
			var known *session.Record
			for {
				r, err := d.Load(ctx, "torn", known)
				if err != nil {
					w.Errorf("writer: %v", err)
					return
				}
				if r.Version >= generations && seenEnough() || w.Failed() {
					return
				}
				stored, err := d.Commit(ctx, generation(r, r.Version+1, size))
				if err != nil && !errors.Is(err, session.ErrConflict) {
					w.Errorf("writer: %v", err)
					return
				}
				known = r
				if err == nil {
					known = stored
				}
			}
		})
	}
	for i := range seen {
		d := w.open()
		readers.Go(func() {
			var known *session.Record
			last := int64(0)
			for ctx.Err() == nil {
				r, err := d.Load(ctx, "torn", known)
				if err != nil {
					if ctx.Err() == nil {
						w.Errorf("reader: %v", err)
					}
					return
				}
				if fault := mixture(r); fault != "" {
					w.Errorf("a reader that knew %v saw a mixture: %s", known != nil, fault)
					return
				}
				if r.Commit < last {
					w.Errorf("a reader saw commit %d after %d", r.Commit, last)
					return
				}
				if r.Commit > last {
					seen[i].Add(1)
				}
				last = r.Commit
				if i > 0 {
					known = r
				}
			}
		})
	}
	watched := w.open()
	readers.Go(func() {
		err := watched.Watch(ctx, "torn", nil, func(r *session.Record) error {
			if fault := mixture(r); fault != "" {
				return fmt.Errorf("a watcher saw a mixture: %s", fault)
			}
			return nil
		})
		if ctx.Err() == nil {
			w.Errorf("watch: %v", err)
		}
	})
	writers.Wait()
	stop()
	readers.Wait()
	if r := w.load(first, "torn", nil); r.Version < generations || mixture(r) != "" {
		w.Errorf("at the end version %d: %s", r.Version, mixture(r))
	}
}

func generation(base *session.Record, n int64, size int) *session.Record {
	changed := texts{}
	for i, name := range allParts {
		if n == 1 || n%int64(i+1) == 0 {
			body := fmt.Sprintf("%d %s", n, text(uint64(n)*10+uint64(i), size))
			changed[name] = fmt.Sprintf("%08x %s", crc32.ChecksumIEEE([]byte(body)), body)
		}
	}
	if base == nil {
		return beginning("torn", changed)
	}
	return after(base, changed)
}

// mixture says what in a record is not of its generation.
func mixture(r *session.Record) string {
	if r.Version != r.Commit {
		return fmt.Sprintf("version %d at commit %d", r.Version, r.Commit)
	}
	for i, name := range allParts {
		want := r.Version - r.Version%int64(i+1)
		want = max(want, 1)
		sum, body, _ := strings.Cut(string(r.Parts[name].Data), " ")
		if sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) {
			return fmt.Sprintf("part %s at version %d is damaged: %d bytes", name, r.Version, len(body))
		}
		number, _, _ := strings.Cut(body, " ")
		if got, err := strconv.ParseInt(number, 10, 64); err != nil || got != want {
			return fmt.Sprintf("part %s at version %d is of generation %s, want %d", name, r.Version, number, want)
		}
	}
	return ""
}
