package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// modelRing is what a ring must be, said simply.
func modelRing(all []Entry) []Entry {
	if len(all) == 0 {
		return []Entry{}
	}
	newest := all[len(all)-1].Commit
	from := max(0, len(all)-RingSize)
	for from > 0 && all[from-1].Commit > newest-RingCommits {
		from--
	}
	return all[from:]
}

func TestRingRemembersExactlyTheLast(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 3, MaxBatch} {
		t.Run(fmt.Sprint("batches up to ", most), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(most)))
			var ring Ring
			var all []Entry
			var commit, version int64
			at := time.UnixMicro(1_700_000_000_000_000).UTC()
			for range 3000/most + 40 {
				commit++
				at = at.Add(time.Duration(random.IntN(9_000)-1_000) * time.Microsecond)
				var batch []Entry
				for range 1 + random.IntN(most) {
					e := Entry{Hash: random.Uint64(), Sum: random.Uint32(), Kind: Kind(random.IntN(256)), Code: Code(random.IntN(7)), Commit: commit, At: at}
					if e.Code == Applied {
						version++
					}
					e.Version = version
					if random.IntN(4) == 0 {
						e.Replay, e.Ref, e.Reason = random.IntN(3), strings.Repeat("r", random.IntN(MaxID)), strings.Repeat("ü", random.IntN(MaxReason/2))
					}
					batch = append(batch, e)
				}
				if random.IntN(50) == 0 {
					version += 7 // no promise of the ring depends on its caller counting
				}
				before := ring
				ring = ring.push(batch)
				all = append(all, batch...)
				want := modelRing(all)
				if ring.Len() != len(want) {
					t.Fatalf("after %d commits: %d entries, want %d", commit, ring.Len(), len(want))
				}
				if commit%97 != 0 && commit > 4 {
					continue
				}
				for _, e := range slices.Concat(want[:min(20, len(want))], want[max(0, len(want)-20):]) {
					if got, ok := ring.find(map[uint64]struct{}{e.Hash: {}})[e.Hash]; !ok || got != e {
						t.Fatalf("after %d commits %x is found as %+v, want %+v", commit, e.Hash, got, e)
					}
				}
				if want, got := modelRing(all[:len(all)-len(batch)]), before.Entries(); !slices.Equal(want, got) {
					t.Fatalf("push changed the ring that it was called on:\n%s", cmp.Diff(want, got))
				}
				if want, got := want, ring.Entries(); !slices.Equal(want, got) {
					t.Fatalf("after %d commits:\n%s", commit, cmp.Diff(want, got))
				}
				data, err := ring.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				ring = Ring{}
				if err := ring.UnmarshalBinary(data); err != nil {
					t.Fatal(err)
				}
				if want, got := want, ring.Entries(); !slices.Equal(want, got) {
					t.Fatalf("stored and read after %d commits:\n%s", commit, cmp.Diff(want, got))
				}
			}
		})
	}
}

func TestRingFindsTheNewestOfAnID(t *testing.T) {
	t.Parallel()
	var ring Ring
	for i := range 2000 {
		ring = ring.push([]Entry{{Hash: hashID(fmt.Sprint("m", i)), Code: Applied, Commit: int64(i + 1), Version: int64(i + 1)}})
	}
	ring = ring.push([]Entry{{Hash: hashID("m1990"), Code: RejectedInvalid, Commit: 2001, Version: 2000, Replay: 1}})
	for id, want := range map[string]int64{"m1999": 2000, "m1990": 2001, "m977": 978, "m976": 0, "m980": 981} {
		e, ok := ring.Find(id)
		if ok != (want > 0) || e.Commit != want {
			t.Errorf("Find(%s) = commit %d, %v; want %d", id, e.Commit, ok, want)
		}
	}
}

func TestRingIsSmall(t *testing.T) {
	t.Parallel()
	var ring Ring
	at := time.UnixMicro(1_700_000_000_000_000)
	for i := range RingSize {
		ring = ring.push([]Entry{{Hash: rand.Uint64(), Sum: rand.Uint32(), Kind: Merge, Code: Applied, Commit: int64(i + 1), Version: int64(i + 1), At: at.Add(time.Duration(i) * time.Second)}})
	}
	data, err := ring.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 22*RingSize {
		t.Errorf("a ring of single commits takes %d bytes", len(data))
	}
}

func TestRingOfLongTextsCanBeRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 500)
	data, err := Ring{}.push([]Entry{{Commit: 1, Ref: long, Reason: long}}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var ring Ring
	if err := ring.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	if e := ring.Entries()[0]; len(e.Ref) != MaxID || len(e.Reason) != MaxReason {
		t.Errorf("ref of %d bytes, reason of %d", len(e.Ref), len(e.Reason))
	}
}

func TestRingRefusesOtherThings(t *testing.T) {
	t.Parallel()
	whole, err := Ring{}.push([]Entry{{Commit: 3, Version: 2, Code: Applied, Ref: "ref", Reason: "reason", Replay: 2, At: time.UnixMicro(5)}}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if n == 1 {
			continue // an empty ring
		}
		var ring Ring
		if err := ring.UnmarshalBinary(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were read as %d entries", n, len(whole), ring.Len())
		}
	}
	for _, data := range [][]byte{append([]byte{2}, whole[1:]...), append(slices.Clone(whole), 0), append(slices.Clone(whole), 1)} {
		ring := Ring{size: 77}
		if err := ring.UnmarshalBinary(data); err == nil {
			t.Errorf("%x was read", data)
		}
		if ring.size != 77 {
			t.Error("a failed read changed the ring")
		}
	}
}

func FuzzRingUnmarshal(f *testing.F) {
	ring := Ring{}.push([]Entry{{Commit: 1, Version: 1, Code: Applied, Ref: "r"}, {Commit: 1, Version: 1, Code: RejectedConflict, Reason: "why"}})
	for range 3 {
		data, err := ring.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		ring = ring.push([]Entry{{Commit: ring.last.commit + 2, Version: 9, Code: Applied, Replay: 1, At: time.UnixMicro(-4)}})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ring Ring
		if ring.UnmarshalBinary(data) != nil {
			return
		}
		entries := ring.Entries()
		if len(entries) != ring.Len() {
			t.Fatalf("%d entries, Len %d", len(entries), ring.Len())
		}
		if len(entries) == 0 {
			return
		}
		for _, e := range entries {
			if !ring.hasAny(map[uint64]struct{}{e.Hash: {}}) {
				t.Fatalf("%x is not found", e.Hash)
			}
		}
		if ring.hasAny(map[uint64]struct{}{0x1234567890abcdef: {}}) && !slices.ContainsFunc(entries, func(e Entry) bool { return e.Hash == 0x1234567890abcdef }) {
			t.Fatal("what is not there is found")
		}
		// What was accepted can be built on and read again.
		next := ring.push([]Entry{{Hash: 1, Commit: entries[len(entries)-1].Commit + 1}})
		stored, err := next.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var again Ring
		if err := again.UnmarshalBinary(stored); err != nil {
			t.Fatal(err)
		}
		if want, got := next.Entries(), again.Entries(); !slices.Equal(want, got) {
			t.Fatalf("%s", cmp.Diff(want, got))
		}
	})
}

func BenchmarkRing(b *testing.B) {
	for _, size := range []int{1, MaxBatch} {
		var ring Ring
		batch := make([]Entry, size)
		commit := int64(0)
		fill := func() {
			commit++
			for i := range batch {
				batch[i] = Entry{Hash: rand.Uint64(), Code: Applied, Commit: commit, Version: commit*int64(size) + int64(i), At: time.UnixMicro(commit * 1000)}
			}
		}
		for ring.Len() < RingSize || commit < RingCommits {
			fill()
			ring = ring.push(batch)
		}
		b.Run(fmt.Sprint("push/batch=", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fill()
				ring = ring.push(batch)
			}
		})
		b.Run(fmt.Sprint("find/batch=", size), func(b *testing.B) {
			want := map[uint64]struct{}{}
			for range size {
				want[rand.Uint64()] = struct{}{}
			}
			for b.Loop() {
				ring.find(want)
			}
		})
		b.Run(fmt.Sprint("unmarshal/batch=", size), func(b *testing.B) {
			data, _ := ring.MarshalBinary()
			for b.Loop() {
				var read Ring
				if err := read.UnmarshalBinary(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
